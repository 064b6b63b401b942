"""Limit: how often a client may send one kind of request. The numbers are settings."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from django.conf import settings

from events.figures import Counter
from feeds.errors import TooOftenError
from feeds.limits import counting
from feeds.limits.local import Rate

#: Every limit that refuses: the rates below, those of the gate, and how much may be open or under way at once.
NAMES = (
    *("read", "write", "visit", "registrations", "tries_by_address", "tries_by_account", "tries_by_pair"),
    *("letters", "forgotten", "exports", "address", "handshakes", "requests_at_once", "connections", "slow"),
    *("sockets", "sockets_per_user", "sockets_per_process"),
)
REFUSED = Counter(
    "airy_requests_refused_total",
    "Requests refused by a limit",
    labels=["limit"],
    known=lambda: [(name,) for name in NAMES],
)

#: Methods that change nothing.
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `most` requests of one client at once, and `most` in `seconds` on average; for each of its rates.

    The rates are the setting LIMIT_<NAME>: pairs (most, seconds).
    """

    name: str

    @property
    def rates(self) -> tuple[Rate, ...]:
        """The pairs (most, seconds)."""
        rates: tuple[Rate, ...] = getattr(settings, f"LIMIT_{self.name.upper()}")
        return rates

    def spend(self, client: str) -> int:
        """Count one request. Returns 0 if it is allowed, else the seconds until it is; then it was not counted."""
        if not settings.RATE_LIMITS:
            return 0
        wait = ceil(counting.spend(f"{self.name}/{client}", self.rates))
        if wait:
            REFUSED.labels(limit=self.name).inc()
        return wait

    def give_back(self, client: str) -> None:
        """Take one counted request back."""
        if settings.RATE_LIMITS:
            counting.give_back(f"{self.name}/{client}", self.rates)


#: Requests of an account. Those of an address that is not signed in: VISIT for reading, WRITE for the rest.
READ, WRITE, VISIT = Limit(name="read"), Limit(name="write"), Limit(name="visit")
#: New accounts from an address.
REGISTRATIONS = Limit(name="registrations")
#: Passwords and codes that were wrong: from an address, for an account, for an account from an address that it knows.
TRIES_BY_ADDRESS = Limit(name="tries_by_address")
TRIES_BY_ACCOUNT = Limit(name="tries_by_account")
TRIES_BY_PAIR = Limit(name="tries_by_pair")
#: Letters to one person or mailbox, asked for by anybody; and requests for them from an address.
LETTERS, FORGOTTEN = Limit(name="letters"), Limit(name="forgotten")
#: Archives of all data of an account.
EXPORTS = Limit(name="exports")


def spend(limit: Limit, client: str) -> None:
    """Count one request. Raises TooOftenError if the limit is exceeded."""
    if wait := limit.spend(client):
        raise TooOftenError(wait)
