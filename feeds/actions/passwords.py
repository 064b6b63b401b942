"""Passwords: ask for the link to a new one, and set it with that link."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import get_language

from events.bus import emit
from events.db import committed
from feeds.actions.accounts import change_account
from feeds.actions.action import action
from feeds.events import PasswordResetRequested
from feeds.models import User

#: One address may belong to several accounts; more than these get no letter.
MOST_LETTERS = 5


def request_password_reset(*, email: str, site: str) -> None:
    """Send a link to each account that has this address. Nobody learns whether there is one: the event is the same,
    with or without ids, and so is the time it takes.

    site: the address of this site, such as https://airy.example, for the link.
    """
    users = User.objects.active().reached_at(email).order_by("pk")[: 2 * MOST_LETTERS]
    ids = [user.pk for user in users if user.has_usable_password()]
    with committed():
        emit(
            PasswordResetRequested(
                user_ids=tuple(ids[:MOST_LETTERS]), site=site, language=get_language() or settings.LANGUAGE_CODE
            )
        )


@action
def reset_password(user: User, *, password: str) -> User:
    """Set a new password for a user who came by the link. Sessions and tokens end, as with any new password; a second
    factor stays. The link shows that the address is the user's, so that counts as confirmed. Raises InvalidError.
    """
    changed = change_account(user, password=password)
    if not changed.confirmed_email:
        changed.confirmed_email = changed.email
        changed.save(update_fields={"confirmed_email"})
    return changed
