"""Tries: guesses of a password or a code. Wrong ones slow down, and are logged; right ones cost nothing.

1. Each address has its own tries, for whatever account.
2. Each account has its own tries, from all addresses together: an attacker may have many.
3. An address from which the account was opened before has tries of its own instead (the pair), so that nobody locks the
   owner out by guessing wrong.

A try is counted before the guess is looked at, and given back if it was right, so many at once are not more than the
limit. A limit has several rates, so the pause grows with the number of wrong guesses, up to that of its longest rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.conf import settings
from django.http import HttpRequest

from feeds.errors import TooOftenError
from feeds.limits import clients, counting
from feeds.limits.addresses import network
from feeds.limits.limit import TRIES_BY_ACCOUNT, TRIES_BY_ADDRESS, TRIES_BY_PAIR, Limit

logger = structlog.get_logger("feeds.tries")

#: Characters of a name in the log.
NAME_LENGTH = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try that is allowed: say how it ended by `succeeded` or `failed`."""

    what: str
    name: str
    address: str
    pair: str
    spent: tuple[tuple[Limit, str], ...]

    def succeeded(self) -> None:
        """The guess was right: it costs nothing, and the account knows the address from now on."""
        for limit, client in self.spent:
            limit.give_back(client)
        if settings.RATE_LIMITS:
            counting.remember(self.pair, settings.KNOWN_ADDRESS_DAYS * 86_400)

    def failed(self) -> None:
        """The guess was wrong: it stays counted, and is logged with name and address."""
        logger.warning(f"{self.what} failed", address=self.address, name=self.name)


def attempt(request: HttpRequest | None, name: str, *, what: str = "sign-in") -> Attempt:
    """Count one try for the account with this name, before the guess is looked at. Raises TooOftenError.

    what: what is guessed, for example "sign-in", "password" or "code"; each has tries of its own.
    """
    address = clients.address(request)
    account = f"{what}/{clients.account(name)}"
    pair = f"{account}/{network(address)}"
    knows = settings.RATE_LIMITS and counting.remembers(pair)
    by_account = (TRIES_BY_PAIR, pair) if knows else (TRIES_BY_ACCOUNT, account)
    tries = ((TRIES_BY_ADDRESS, network(address)), by_account)
    for limit, client in tries:
        if wait := limit.spend(client):
            logger.warning(f"{what} refused", address=address, name=name[:NAME_LENGTH], wait=wait)
            raise TooOftenError(wait)
    return Attempt(what=what, name=name[:NAME_LENGTH], address=address, pair=pair, spent=tries)
