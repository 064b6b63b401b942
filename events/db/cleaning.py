"""Cleaning: what a subscriber sets on its database session does not reach the next user of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error, connections
from django.db.backends.signals import connection_created

from .discard import discard

#: As DISCARD ALL, but prepared statements and plans stay: deliveries rely on them. In one message: a round trip.
POSTGRESQL = (
    "SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; CLOSE ALL; UNLISTEN *; DISCARD TEMP;"
    " SELECT pg_catalog.pg_advisory_unlock_all(){configuration}"
)
#: What lasts for a session of SQLite and changes what its next user can do; and how it is at the beginning.
SQLITE = """
    SELECT (SELECT query_only FROM pragma_query_only), (SELECT foreign_keys FROM pragma_foreign_keys),
        (SELECT ignore_check_constraints FROM pragma_ignore_check_constraints),
        (SELECT read_uncommitted FROM pragma_read_uncommitted),
        (SELECT count(*) FROM pragma_database_list WHERE name NOT IN ('main', 'temp')),
        (SELECT count(*) FROM sqlite_temp_master)
"""
SQLITE_AT_FIRST = (0, 1, 0, 0, 0, 0, "normal", False)


@contextmanager
def clean_sessions() -> Iterator[None]:
    """Afterwards, this thread's database sessions are as they were when Django opened them: settings, roles, temporary
    tables, held cursors, LISTEN and advisory locks of the session are gone. One that cannot be cleaned is discarded.

    Sessions within a transaction that began before are left alone.
    """
    before = {
        one.alias: _state(one.connection)
        for one in connections.all(initialized_only=True)
        if one.vendor == "sqlite" and one.connection is not None
    }
    try:
        yield
    finally:
        for connection in connections.all(initialized_only=True):
            if connection.connection is not None and not connection.in_atomic_block:
                _clean(connection, before.get(connection.alias))


def _clean(connection: Any, before: tuple[Any, ...] | None) -> None:
    try:
        if connection.vendor == "sqlite":
            clean = _state(connection.connection) == (before or SQLITE_AT_FIRST)
        else:
            clean = _is_reset(connection)
    except (Error, sqlite3.Error):
        clean = False
    if not clean:
        discard(connection)


def _is_reset(connection: Any) -> bool:
    from psycopg.pq import ExecStatus, TransactionStatus

    session = connection.connection
    wire = session.pgconn
    if wire.transaction_status != TransactionStatus.IDLE:
        return False
    message = POSTGRESQL.format(configuration=_configuration(connection, wire))
    with connection.wrap_database_errors:
        if wire.exec_(message.encode()).status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            return False
        isolation = connection.isolation_level if "isolation_level" in connection.settings_dict["OPTIONS"] else None
        if (session.isolation_level, session.read_only, session.deferrable) != (isolation, None, None):
            session.isolation_level, session.read_only, session.deferrable = isolation, None, None
    if connection_created.has_listeners(type(connection)):  # they may have set something for each session
        connection_created.send(sender=type(connection), connection=connection)
    return True


def _configuration(connection: Any, wire: Any) -> str:
    """What Django itself sets on each session."""
    from psycopg.pq import Escaping

    escaping = Escaping(wire)
    text = ""
    if zone := connection.timezone_name:
        text += f"; SET TIME ZONE {escaping.escape_literal(zone.encode()).decode()}"
    if role := connection.settings_dict["OPTIONS"].get("assume_role"):
        text += f"; SET ROLE {escaping.escape_identifier(role.encode()).decode()}"
    return text


def _state(session: Any) -> tuple[Any, ...]:
    (locking,) = session.execute("PRAGMA locking_mode").fetchone()
    return *session.execute(SQLITE).fetchone(), locking, session.in_transaction
