"""Discard: a database session that failed is closed for good."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db import Error, connections


def discard(connection: Any) -> None:
    """Close the server session of a connection (or of an alias, in this thread) for good. Django opens a new one when
    it needs it, or gets another one from the pool.

    `close()` alone gives the session back to psycopg's pool, which hands the same one, with all that is stale in it, to
    the next user. If the server had ended the session, as in a restart, the others that lie in the pool are replaced,
    too. It is safe to call at any time: without a session, with a lost one, and inside an atomic block, which then
    cannot commit any more.

    Raises DatabaseError if the connection belongs to another thread.
    """
    if isinstance(connection, str):
        connection = connections[connection]
    connection.validate_thread_sharing()
    session = connection.connection
    # What a close complains about is over with it. SQLite has no server session, and may be in memory.
    with suppress(Error):
        if session is not None and connection.vendor != "sqlite" and not connection.closed_in_transaction:
            with connection.wrap_database_errors:
                pool = getattr(connection, "pool", None)
                if pool is not None and session.closed and session._created_at > pool._drained_at:
                    pool.drain()
                session.close()
    with suppress(Error):
        connection.close()
