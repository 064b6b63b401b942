"""Writers: which transactions write to a table now, on PostgreSQL."""

from __future__ import annotations

from typing import Any

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
