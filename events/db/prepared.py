"""Prepared: statements on PostgreSQL that are parsed and planned once per connection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any


def prepared_cursor(connection: Any) -> Any:
    """A Django cursor that prepares what it executes: planning the log's insert costs more than running it does.

    It does so where the database's OPTIONS set `prepare_threshold`; leave that out behind a PgBouncer that hands
    transactions to connections and knows no prepared statements (before 1.21).
    """
    connection.ensure_connection()
    cursor = _cursor_class()(connection.connection)
    return connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)


def call(connection: Any, function: str, *values: str | int | None) -> str:
    """The text that a function of the database returns.

    Where that is the first thing in a transaction, it goes along with the BEGIN: one round trip instead of two.
    """
    answer = _begin_with_call(connection, function, values)
    if answer is None:
        with prepared_cursor(connection) as cursor:
            cursor.execute(f"SELECT {function}({', '.join(['%s'] * len(values))})", values)
            ((answer,),) = cursor.fetchall()
    return answer


def _begin_with_call(connection: Any, function: str, values: Sequence[str | int | None]) -> str | None:
    """None if that cannot be or fails: nothing has happened then, and the usual way says what is wrong."""
    session = connection.connection
    if session is None or connection.autocommit or session.isolation_level is not None:
        return None
    if connection.queries_logged or connection.execute_wrappers:
        return None
    from psycopg.pq import Escaping, ExecStatus, TransactionStatus

    wire = session.pgconn
    if wire.transaction_status != TransactionStatus.IDLE:
        return None
    literal = Escaping(wire).escape_literal
    given = b", ".join(b"NULL" if value is None else literal(str(value).encode()) for value in values)
    with connection.wrap_database_errors:
        result = wire.exec_(f"BEGIN; SELECT {function}(".encode() + given + b")")
        if result.status == ExecStatus.TUPLES_OK and (answer := result.get_value(0, 0)) is not None:
            return answer.decode()
        wire.exec_(b"ROLLBACK")
    return None


@cache
def _cursor_class() -> type:
    # Imported when there is a PostgreSQL to talk to: psycopg need not be installed beside SQLite.
    from django.db.backends.postgresql.base import ServerBindingCursor

    class PreparingCursor(ServerBindingCursor):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            return super().execute(query, params, **options | {"prepare": True})  # type: ignore[misc]

    return PreparingCursor
