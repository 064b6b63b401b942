"""Wakeup: who is the one active relay, and what wakes it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from django.db import connections, router

from ..models import OutboxMessage
from ..outbox.notify import WAKE_CHANNEL, WAKE_LOCK, local_wakeup

#: The pair that names the advisory lock of the active relay ("airy", "rela").
RELAY_LOCK = (0x61697279, 0x72656C61)
#: How soon the server gives up the session, and with it the lock, of a relay whose machine is gone: in seconds.
VANISHED = {"idle": 2, "interval": 1, "count": 2}


class Wakeup(Protocol):
    """The relay's seat and its alarm clock."""

    def elected(self) -> bool:
        """Try to become the active relay; once it is, it stays so until it closes or dies."""

    def holds(self) -> bool:
        """Whether the seat is still ours: a session that was ended, or a lock file that was removed, is a seat lost."""

    def asleep(self) -> Any:
        """A context in which commits of events raise the alarm; yields False if that cannot be promised yet."""

    def wait(self, seconds: float) -> None:
        """Wait for the alarm, at most so long; not at all if it was raised since the last wait."""

    def raised(self) -> bool:
        """Whether the alarm was raised since the last wait."""

    def close(self) -> None:
        """Give up the seat."""


def wakeup() -> Wakeup:
    """The wakeup that fits the outbox's database."""
    connection = connections[router.db_for_write(OutboxMessage)]
    return PostgresWakeup(connection) if connection.vendor == "postgresql" else FileWakeup(connection)


class PostgresWakeup:
    """Advisory locks and LISTEN on a connection of its own: both last as long as the session."""

    def __init__(self, connection: Any) -> None:
        parameters = connection.get_connection_params()
        self._database = connection.Database
        self._session = self._database.connect(**parameters | {"autocommit": True})
        self._raised = False
        for name, seconds in VANISHED.items():
            self._session.execute(f"SET tcp_keepalives_{name} = {seconds}")

    def elected(self) -> bool:
        elected = self._ask("SELECT pg_try_advisory_lock(%s, %s)", RELAY_LOCK)
        if elected:
            # Not before: each commit that raises the alarm would wake the sessions of those who stand by.
            self._session.execute(f"LISTEN {WAKE_CHANNEL}")
        return elected

    def holds(self) -> bool:
        # No question to the server: that the session ended is read off its socket.
        try:
            self._listen(0)
        except self._database.Error:
            return False
        return not self._session.closed

    @contextmanager
    def asleep(self) -> Iterator[bool]:
        """Hold the wake lock. It is not to be had while a transaction that saw the relay awake is still open: look
        again soon."""
        locked = self._ask("SELECT pg_try_advisory_lock(%s, %s)", WAKE_LOCK)
        self.wait(0)  # alarms of those who committed before are over
        try:
            yield locked
        finally:
            if locked:
                self._ask("SELECT pg_advisory_unlock(%s, %s)", WAKE_LOCK)

    def wait(self, seconds: float) -> None:
        if not self._raised:
            self._listen(seconds)
        self._raised = False

    def raised(self) -> bool:
        self._listen(0)
        return self._raised

    def close(self) -> None:
        self._session.close()

    def _listen(self, seconds: float) -> None:
        for _ in self._session.notifies(timeout=seconds, stop_after=1):
            self._raised = True

    def _ask(self, sql: str, key: tuple[int, int]) -> bool:
        return bool(self._session.execute(sql, key).fetchone()[0])


class FileWakeup:
    """A lock on a file beside the SQLite database, and a short poll: other processes write, too."""

    POLL = 0.1

    def __init__(self, connection: Any) -> None:
        self._path = Path(f"{connection.settings_dict['NAME']}.relay")
        self._file: IO[str] | None = None

    def elected(self) -> bool:
        if self._file is None:
            file = self._path.open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return False
            self._file = file
        return True

    def holds(self) -> bool:
        try:
            return self._file is not None and os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    @contextmanager
    def asleep(self) -> Iterator[bool]:
        local_wakeup.clear()
        yield True

    def wait(self, seconds: float) -> None:
        local_wakeup.wait(min(seconds, self.POLL))
        local_wakeup.clear()

    def raised(self) -> bool:
        return local_wakeup.is_set()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
