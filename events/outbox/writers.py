"""Writers: which transactions write to a table now, on PostgreSQL."""

from __future__ import annotations

import time
from typing import Any

#: Seconds between two looks at writers that are waited for.
PAUSE = 0.02

_WRITERS = """
    SELECT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND relation = %s::regclass
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND mode = 'RowExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()
"""


def open_writers(connection: Any, table: str) -> set[str]:
    """The open transactions of other sessions that have written to a table. Each took its lock before its rows were
    numbered, so what is numbered up to now and not visible belongs to one of these. table: its quoted name."""
    with connection.cursor() as cursor:
        cursor.execute(_WRITERS, [table])
        return {transaction for (transaction,) in cursor.fetchall()}


def outlast_writers(connection: Any, *tables: str, seconds: float) -> bool:
    """Wait until the transactions that have written to these tables by now are over; False if they are not within so
    many seconds. tables: quoted names."""
    until = time.monotonic() + seconds
    left = {(name, writer) for name in tables for writer in open_writers(connection, name)}
    while left:
        if time.monotonic() >= until:
            return False
        time.sleep(PAUSE)
        left &= {(name, writer) for name in tables for writer in open_writers(connection, name)}
    return True
