"""Session: the connection by which a relay holds its lease. On PostgreSQL it is one of the relay's own, which listens,
too."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Protocol

from ..db.dialect import database_now
from .own_session import TCP_KEEPALIVES, own_session
from .watchdog import cut

#: Seconds without a statement, beyond the lease, after which PostgreSQL ends the session. A relay that works is never
#: silent for as long; one that is frozen would keep the locks of its session.
IDLE_SESSION_TIMEOUT = 7
#: Seconds that a statement of this session waits for a row that a hung session has locked.
LOCK_TIMEOUT = 1.0


class Session(Protocol):
    """What the lease needs of a connection. Every statement commits by itself."""

    #: Says in the table of terms which session it is; empty if the relay has none of its own.
    name: str
    #: What a query for rows to delete ends with, so that it passes over those that are locked.
    skip_locked: str

    def at(self, seconds: float) -> tuple[str, Any]:
        """The time in so many seconds, by the database's clock, as an SQL expression and its parameter."""

    def change(self, sql: str, parameters: Sequence[Any]) -> int:
        """Run a statement that writes; returns the number of rows. 0, too, if a row was locked for too long."""

    def row(self, sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        """The first row that a query returns."""

    def cut(self) -> None:
        """Let the thread that waits for an answer get an error. For another thread."""

    def close(self) -> None:
        """End it."""


class PostgresSession:
    """One autocommit connection, used by the relay's thread only.

    It is opened as Django's are, or to the setting DATABASE_DIRECT_URL if there is one. Raises SessionRefusedError if a
    pooler is between that gives each transaction another session.
    """

    skip_locked = "FOR UPDATE SKIP LOCKED"

    def __init__(self, connection: Any, *, lease: float = 0.0) -> None:
        """lease: seconds for which the relay may be busy elsewhere, and then renew its term."""
        self._database = connection.Database
        self._connection = own_session(connection)
        #: Whether a notification has arrived since it was last set to False.
        self.notified = False
        self.name = str(self._connection.info.backend_pid)
        for name, value in TCP_KEEPALIVES.items():
            self._connection.execute(f"SET tcp_keepalives_{name} = {value}")
        self._connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}s'")
        # A renewal that a crash of the database takes back was made by a session that ended in it.
        self._connection.execute("SET synchronous_commit = off")
        if self._connection.info.server_version >= 140_000:
            self._connection.execute(f"SET idle_session_timeout = '{IDLE_SESSION_TIMEOUT + lease}s'")

    def at(self, seconds: float) -> tuple[str, Any]:
        # The statement's time is taken before its snapshot: it sees every renewal that was answered before then.
        return "statement_timestamp() + make_interval(secs => %s)", seconds

    def change(self, sql: str, parameters: Sequence[Any]) -> int:
        try:
            return int(self._connection.execute(sql, parameters).rowcount)
        except self._database.errors.LockNotAvailable:
            return 0

    def row(self, sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._connection.execute(sql, parameters).fetchone()
        return found

    def ask(self, sql: str, parameters: Sequence[Any]) -> bool:
        """The boolean that a statement returns."""
        return bool((self.row(sql, parameters) or (False,))[0])

    def subscribe(self, channel: str) -> None:
        """LISTEN to a channel."""
        self._connection.execute(f"LISTEN {channel}")

    def read(self, seconds: float = 0) -> None:
        """Read notifications off the socket, waiting for `seconds` at most."""
        for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            self.notified = True

    def is_open(self) -> bool:
        """Whether the server still has the session. It is read off the socket, without a round trip."""
        try:
            self.read()
        except self._database.Error:
            return False
        return not self._connection.closed

    def cut(self) -> None:
        cut(self._connection)

    def close(self) -> None:
        self._connection.close()


class LocalSession:
    """Django's connection of the calling thread: SQLite has no other."""

    name = skip_locked = ""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def at(self, seconds: float) -> tuple[str, Any]:
        time = database_now(self._connection) + dt.timedelta(seconds=seconds)
        return "%s", self._connection.ops.adapt_datetimefield_value(time)

    def change(self, sql: str, parameters: Sequence[Any]) -> int:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return int(cursor.rowcount)

    def row(self, sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            found: tuple[Any, ...] | None = cursor.fetchone()
            return found

    def cut(self) -> None:
        """SQLite waits for a lock for as long as its time-out says."""

    def close(self) -> None:
        """Whoever made the connection closes it."""
