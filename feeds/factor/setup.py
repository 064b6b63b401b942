"""Setup: the secret that a person's app is taking in. It waits, sealed, in the session that gave the password."""

from __future__ import annotations

import time

from django.contrib.sessions.backends.base import SessionBase

from feeds.factor.seal import BrokenSealError, seal, unseal
from feeds.factor.totp import new_secret

KEY = "factor_setup"
#: Seconds.
PATIENCE = 3600


def begin(session: SessionBase) -> str:
    """A new secret; one that was begun before ends."""
    secret = new_secret()
    session[KEY] = {"sealed": seal(secret), "until": time.time() + PATIENCE}
    return secret


def begun(session: SessionBase) -> str | None:
    """The secret that this session has begun with; None without one, or after an hour."""
    kept = session.get(KEY)
    if kept is None or kept["until"] < time.time():
        return None
    try:
        return unseal(kept["sealed"])
    except BrokenSealError:
        return None


def end(session: SessionBase) -> None:
    """Forget the secret."""
    session.pop(KEY, None)
