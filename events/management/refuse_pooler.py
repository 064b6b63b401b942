"""refuse_pooler: a command that starts a relay does not start where the relay could not work."""

from __future__ import annotations

from django.core.management.base import CommandError

from ..relay.own_session import SessionRefusedError, require_session


def refuse_pooler() -> None:
    """Raises CommandError if a pooler of transactions is where the relay needs a session, with the cure."""
    try:
        require_session()
    except SessionRefusedError as error:
        raise CommandError(str(error)) from None
