"""Listen: how the relay sleeps, and what wakes it. The side that wakes it is `outbox/notify.py`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from ..db.names import table
from ..outbox.models import OutboxMessage
from ..outbox.notify import WAKE_CHANNEL, WAKE_LOCK, local_notification
from .session import PostgresSession


class Listener(Protocol):
    """What wakes a sleeping relay."""

    def start(self) -> None:
        """Listen from now on."""

    def asleep(self) -> AbstractContextManager[bool]:
        """A context in which each commit to the outbox wakes the relay. It yields False when that cannot be promised
        yet: look again soon."""

    def wait(self, seconds: float) -> None:
        """Wait for a notification, for `seconds` at most; not at all if one came since the last wait."""

    def notified(self) -> bool:
        """Whether a notification came since the last wait."""


class PostgresListener:
    """PostgreSQL: LISTEN, and the lock by which transactions see that the relay sleeps."""

    def __init__(self, session: PostgresSession) -> None:
        self._session = session
        self._key = 0

    def start(self) -> None:
        (oid,) = self._session.row("SELECT %s::regclass::oid", [table(OutboxMessage)]) or (0,)
        self._key = WAKE_LOCK | int(oid)
        # Only the leader listens: otherwise each notification would wake the sessions of all who stand by.
        self._session.subscribe(f"{WAKE_CHANNEL}{oid}")

    @contextmanager
    def asleep(self) -> Iterator[bool]:
        """Hold the wake lock. It cannot be had while a transaction that saw the relay awake is still open."""
        locked = self._session.ask("SELECT pg_try_advisory_lock(%s)", [self._key])
        self.wait(0)  # Notifications of earlier commits are of no use any more.
        try:
            yield locked
        finally:
            if locked:
                self._session.ask("SELECT pg_advisory_unlock(%s)", [self._key])

    def wait(self, seconds: float) -> None:
        if not self._session.notified:
            self._session.read(seconds)
        self._session.notified = False

    def notified(self) -> bool:
        self._session.read()
        return self._session.notified


class PollingListener:
    """SQLite: an event of this process, and a short poll, since other processes write, too."""

    #: Seconds.
    POLL = 0.1

    def start(self) -> None:
        """Nothing to do."""

    @contextmanager
    def asleep(self) -> Iterator[bool]:
        local_notification.clear()
        yield True

    def wait(self, seconds: float) -> None:
        local_notification.wait(min(seconds, self.POLL))
        local_notification.clear()

    def notified(self) -> bool:
        return local_notification.is_set()
