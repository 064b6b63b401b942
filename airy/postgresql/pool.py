"""Pool: psycopg's connection pool, which drops all that is stale at once and is back soon after the server is."""

from __future__ import annotations

import select
import time
from typing import Any

import psycopg
from psycopg import pq
from psycopg_pool import ConnectionPool
from psycopg_pool.pool import AddConnection, MaintenanceTask

#: Seconds that a session may lie in the pool before the server is asked whether it still lives. A session that the
#: server ended is found by a look at the socket, however short it lay: that takes two microseconds, asking a hundred.
UNASKED = 5.0
#: Seconds between two tries to reach a server, at most. psycopg doubles the pause with each try, up to minutes.
RECONNECT_PAUSE = 0.5


def looks_alive(session: psycopg.Connection[Any]) -> bool:
    """Whether nothing waits at the socket of an idle session. The server's farewell would, and so would the end of the
    connection. (So does a notification: the caller then has to ask the server.)"""
    if session.pgconn.status != pq.ConnStatus.OK:
        return False
    look = select.poll()
    look.register(session.pgconn.socket, select.POLLIN)
    return not look.poll(0)


class Pool(ConnectionPool[psycopg.Connection[Any]]):
    """psycopg's pool, which checks a session before it gives it away. One that is found dead takes the others along."""

    def __init__(self, **options: Any) -> None:
        super().__init__(check=self._ask, **options)

    def putconn(self, conn: psycopg.Connection[Any]) -> None:
        """Take a session back."""
        conn._idle_since = time.monotonic()  # type: ignore[attr-defined]
        super().putconn(conn)

    def drain(self) -> None:
        """Close all sessions: those in the pool now, those in use when they come back. New ones are opened when they
        are needed."""
        with self._lock:
            stale = list(self._pool)
            self._pool.clear()
            self._nconns -= len(stale)
            self._nconns_min = 0
            self._drained_at = time.monotonic()
        for session in stale:
            self._close_connection(session)

    def schedule_task(self, task: MaintenanceTask, delay: float) -> None:
        """Tries to reach the server follow each other in short pauses."""
        super().schedule_task(task, min(delay, RECONNECT_PAUSE) if isinstance(task, AddConnection) else delay)

    def _ask(self, session: psycopg.Connection[Any]) -> None:
        idle = time.monotonic() - getattr(session, "_idle_since", session._created_at)
        if idle < UNASKED and looks_alive(session):
            return
        try:
            self.check_connection(session)
        except psycopg.Error:
            self.drain()
            raise
