"""Prepared: a Django cursor on PostgreSQL whose statements are parsed and planned once per connection."""

from __future__ import annotations

from functools import cache
from typing import Any


def prepared_cursor(connection: Any) -> Any:
    """A cursor that prepares what it executes: planning the log's insert costs more than running it does.

    It does so where the database's OPTIONS set `prepare_threshold`; leave that out behind a PgBouncer that hands
    transactions to connections and knows no prepared statements (before 1.21).
    """
    connection.ensure_connection()
    cursor = _cursor_class()(connection.connection)
    return connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)


@cache
def _cursor_class() -> type:
    # Imported when there is a PostgreSQL to talk to: psycopg need not be installed beside SQLite.
    from django.db.backends.postgresql.base import ServerBindingCursor

    class PreparingCursor(ServerBindingCursor):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            return super().execute(query, params, **options | {"prepare": True})  # type: ignore[misc]

    return PreparingCursor
