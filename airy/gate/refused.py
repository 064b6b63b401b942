"""Refused: the addresses that may not visit for a moment, so that the gate refuses them without asking Django."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from feeds.limits.remembered import RememberedKeys


class Refused:
    """Addresses of this process, each for as long as it is refused. Of one that is forgotten Django decides again."""

    def __init__(self) -> None:
        self._until = RememberedKeys()

    def add(self, client: str, *, seconds: int) -> None:
        """Refuse an address for so many seconds."""
        self._until.remember(client, seconds)

    def holds(self, client: str, scope: Mapping[str, Any]) -> bool:
        """Whether a request of this address is refused. Not one with a session or a token: it may be an account's."""
        return self._until.remembers(client) and not _may_be_an_account(scope)


def _may_be_an_account(scope: Mapping[str, Any]) -> bool:
    session = f"{settings.SESSION_COOKIE_NAME}=".encode()
    return any(
        name.lower() == b"authorization" or (name.lower() == b"cookie" and session in value)
        for name, value in scope["headers"]
    )


refused = Refused()
