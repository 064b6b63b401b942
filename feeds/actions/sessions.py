"""Sessions: end those in which a user is signed in."""

from __future__ import annotations

from django.utils.translation import gettext as _

from feeds.actions.action import action
from feeds.errors import NotFoundError
from feeds.models import User


@action
def end_session(user: User, *, session_id: int) -> None:
    """Sign out of one of the user's own sessions. Raises NotFoundError."""
    if not user.sessions.filter(pk=session_id).end():
        raise NotFoundError(_("This session doesn't exist or has ended."))


@action
def end_other_sessions(user: User, *, session_key: str | None) -> int:
    """Sign out of all of the user's sessions but the one with this key. Returns how many ended."""
    return user.sessions.exclude(session_key=session_key or "").end()
