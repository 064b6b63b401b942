"""Lease: which relay is the active one. A term lasts only while its holder renews it.

| who        | does                                                                     | by the clock of    |
|------------|--------------------------------------------------------------------------|--------------------|
| the holder | renews its term about every second, while it carries                     | the database       |
|            | stops once a lease has passed since it began its last renewal            | its own, monotonic |
| a standby  | begins the next term, a row of its own, once the last one has expired    | the database       |

So one that is stuck, in whatever way, is followed within seconds, and takes itself for the leader for no longer than
the table does. A renewal that is answered after the term has expired does not count: a standby may have looked before
it was committed. Nothing that a hung session has locked keeps a standby waiting.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from typing import Any, NamedTuple

from ..db.names import table
from .earlier import EarlierRelays
from .models import RelayTerm
from .session import Session

#: Seconds until a term that is not renewed expires.
LEASE = 3.0
#: Seconds between two renewals, if the relay comes to it.
RENEW_INTERVAL = 0.75
#: A term that has not changed for so many seconds is over, even if the database's clock was set back.
LONGEST_LEASE = 48.0
#: Terms that are kept, for people to read.
TERMS_KEPT = 20


class Term(NamedTuple):
    """The last term in the table."""

    number: int
    holder: str
    expires_at: Any
    expired: bool


class Lease:
    """The right to be the active relay. The thread that carries uses it; any thread may ask `held`.

    relay: the name of the relay. A relay may follow itself without waiting. seconds: until a term expires.
    """

    def __init__(self, session: Session, earlier: EarlierRelays, *, relay: str, seconds: float = LEASE) -> None:
        self._session = session
        self._earlier = earlier
        self._relay = relay
        #: What the table of terms has as the holder.
        self.holder = f"{relay}, session {session.name}" if session.name else relay
        self._seconds = seconds
        self._terms = table(RelayTerm)
        #: The number of the term; None if there is none.
        self.number: int | None = None
        self._deadline = self._renew_at = 0.0
        self._last: Term | None = None
        self._changed_at = 0.0
        self._step = 1

    def acquire(self) -> bool:
        """Try to begin a term; True if this relay is the leader from now on."""
        if not self._earlier.kept_out():
            return False
        last = self._last_term()
        if last is not None and not (last.expired or last.holder.startswith(self._relay)):
            return False
        begun = time.monotonic()
        number = self._step + (last.number if last else 0)
        (now, expires), times = zip(self._session.at(0), self._session.at(self._seconds), strict=True)
        added = self._session.change(
            f"INSERT INTO {self._terms} (number, holder, started_at, expires_at)"
            f" VALUES (%s, %s, {now}, {expires}) ON CONFLICT (number) DO NOTHING",
            [number, self.holder, *times],
        )
        if not added:
            # A hung session may be adding a row of this number without end. The next number counts more than that one.
            self._step += 1
            return False
        self._step = 1
        self.number = number
        self._deadline, self._renew_at = begun + self._seconds, begun + RENEW_INTERVAL
        self._delete_old_terms()
        return self.held()

    def keep(self) -> bool:
        """Renew the term if it is time to; whether this relay is still the leader."""
        if self.held() and time.monotonic() >= self._renew_at:
            self._renew()
        return self.held()

    def held(self) -> bool:
        """Whether this relay is the leader. It does not ask the database."""
        return self.number is not None and time.monotonic() < self._deadline

    def release(self) -> None:
        """End the term, so that a standby need not wait until it expires, and the session. Raises the errors of the
        database; the session is ended nevertheless."""
        number, self.number = self.number, None
        try:
            if number is not None:
                now, parameter = self._session.at(0)
                self._session.change(
                    f"UPDATE {self._terms} SET expires_at = {now} WHERE number = %s AND holder = %s",
                    [parameter, number, self.holder],
                )
        finally:
            self._earlier.let_in()
            self._session.close()

    def cut(self) -> None:
        """Let the thread that waits for the session get an error. For another thread."""
        self._session.cut()

    def _renew(self) -> None:
        begun = time.monotonic()
        expires, parameter = self._session.at(self._seconds)
        renewed = self._session.change(
            f"UPDATE {self._terms} SET expires_at = {expires} WHERE number = %s AND holder = %s"
            f" AND NOT EXISTS (SELECT 1 FROM {self._terms} AS later WHERE later.number > %s)",
            [parameter, self.number, self.holder, self.number],
        )
        if renewed and self.held():
            self._deadline, self._renew_at = begun + self._seconds, begun + RENEW_INTERVAL
        else:
            self.number = None

    def _last_term(self) -> Term | None:
        now, parameter = self._session.at(0)
        row = self._session.row(
            f"SELECT number, holder, expires_at, expires_at <= {now} FROM {self._terms} ORDER BY number DESC LIMIT 1",
            [parameter],
        )
        if row is None:
            return None
        last, now_here = Term(*row), time.monotonic()
        if self._last is None or (self._last.number, self._last.expires_at) != (last.number, last.expires_at):
            self._last, self._changed_at = last, now_here
        return last._replace(expired=bool(last.expired) or now_here > self._changed_at + LONGEST_LEASE)

    def _delete_old_terms(self) -> None:
        assert self.number is not None
        self._session.change(
            f"DELETE FROM {self._terms} WHERE number IN"
            f" (SELECT number FROM {self._terms} WHERE number <= %s {self._session.skip_locked})",
            [self.number - TERMS_KEPT],
        )


def relay_name() -> str:
    """A name that no other relay has, and that says where it runs."""
    return f"process {os.getpid()} on {socket.gethostname()[:100]}, relay {uuid.uuid4().hex[:8]}"
