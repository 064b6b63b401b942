"""Prepared: statements on PostgreSQL that are parsed and planned once per connection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any


def prepared_cursor(connection: Any) -> Any:
    """A Django cursor that prepares every statement it executes: planning the insert into the log takes longer than
    running it.

    It works where the database's OPTIONS set `prepare_threshold`. Leave that out behind a PgBouncer before 1.21 that
    pools transactions: it does not support prepared statements.
    """
    connection.ensure_connection()
    cursor = _cursor_class()(connection.connection)
    return connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)


def call(connection: Any, function: str, *values: str | int | None) -> str:
    """Call a function of the database and return the text it returns.

    As the first statement of a transaction it travels together with the BEGIN: one round trip instead of two.
    (psycopg's pipeline does the same with 1.4 times the time and twice the processor time of the client.)
    """
    answer = _begin_with_call(connection, function, values)
    if answer is None:
        with prepared_cursor(connection) as cursor:
            cursor.execute(f"SELECT {function}({', '.join(['%s'] * len(values))})", values)
            ((answer,),) = cursor.fetchall()
    return str(answer)


def _begin_with_call(connection: Any, function: str, values: Sequence[str | int | None]) -> str | None:
    """BEGIN and the call in one message.

    None if the transaction has begun already, or if the call failed. Then it is rolled back, and the caller repeats it
    as a statement of its own, which raises the error in full.
    """
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
    literals = b", ".join(b"NULL" if value is None else literal(str(value).encode()) for value in values)
    with connection.wrap_database_errors:
        result = wire.exec_(f"BEGIN; SELECT {function}(".encode() + literals + b")")
        if result.status == ExecStatus.TUPLES_OK and (answer := result.get_value(0, 0)) is not None:
            return str(answer.decode())
        wire.exec_(b"ROLLBACK")
    return None


@cache
def _cursor_class() -> type:
    # Imported only when a PostgreSQL connection exists: beside SQLite, psycopg need not be installed.
    from django.db.backends.postgresql.base import ServerBindingCursor

    class PreparingCursor(ServerBindingCursor):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            return super().execute(query, params, **options | {"prepare": True})  # type: ignore[misc]

    return PreparingCursor
