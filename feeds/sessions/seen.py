"""Seen: enter a session in the list of its user when they sign in, and note about once an hour that it is used."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any, cast

import structlog
from django.contrib.auth import BACKEND_SESSION_KEY, SESSION_KEY
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.db import DatabaseError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

from events.db import committed
from feeds import limits
from feeds.models import User, UserSession
from feeds.sessions.client import browser_name, network_of

logger = structlog.get_logger("feeds.sessions")

#: What each session names, as those of earlier releases do, which know no other: a session is good at either release.
SESSION_BACKEND = "django.contrib.auth.backends.ModelBackend"
#: Seconds between two notes of one process about one session.
INTERVAL = 3600.0
#: Sessions that a process remembers to have noted.
REMEMBERED = 10_000


class Notes:
    """When this process last noted each session: the latest of them, in threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: OrderedDict[str, float] = OrderedDict()

    def take(self, session_key: str) -> bool:
        """Whether the session is to be noted now; it then counts as noted."""
        now = time.monotonic()
        with self._lock:
            if now - self._noted.get(session_key, -INTERVAL) < INTERVAL:
                return False
            self._noted[session_key] = now
            self._noted.move_to_end(session_key)
            if len(self._noted) > REMEMBERED:
                self._noted.popitem(last=False)
            return True

    def forget(self) -> None:
        """Note each session again."""
        with self._lock:
            self._noted.clear()


notes = Notes()


@receiver(user_logged_in)
def enter_session(sender: Any, request: HttpRequest | None, user: User, **_: Any) -> None:
    """A user signed in: their session appears in the list."""
    session = getattr(request, "session", None)
    if request is not None and isinstance(session, SessionBase):
        session[BACKEND_SESSION_KEY] = SESSION_BACKEND
        if not session.session_key:
            session.save()
        notes.take(cast(str, session.session_key))
        _note(request, user.pk)


class SeenSessions(MiddlewareMixin):
    """Notes the use of the session of a user who is signed in; one from before there was a list appears in it."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """The response as it is."""
        session = getattr(request, "session", None)
        if session is None or not session.accessed or not session.session_key or SESSION_KEY not in session:
            return response
        if request.user.is_authenticated and notes.take(session.session_key):
            try:
                _note(request, request.user.pk)
            except DatabaseError as error:  # the answer does not depend on it
                logger.warning("the use of a session could not be noted", error=repr(error))
        return response


def _note(request: HttpRequest, user_id: int) -> None:
    row = UserSession(
        user_id=user_id,
        session_key=cast(str, request.session.session_key),
        browser=browser_name(request.headers.get("User-Agent", "")),
        network=network_of(limits.address(request)),
    )
    with committed():
        known = UserSession.objects.filter(user_id=user_id, session_key=row.session_key)
        if not known.update(last_seen_at=timezone.now(), browser=row.browser, network=row.network):
            UserSession.objects.bulk_create([row], ignore_conflicts=True)
