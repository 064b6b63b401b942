"""Sessions: the server's side of this test database, and connections of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection, connections

from tests.conformance.processes import database_url


def end_all_sessions() -> int:
    """Terminate all other sessions on the test database, as a restart does; returns how many."""
    with psycopg.connect(database_url(), autocommit=True) as session:
        ended = session.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    return len(ended)


def pid(session: Any = connection) -> int:
    """The process of the server behind a connection."""
    with session.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@contextmanager
def another_connection(alias: str = "other", **settings: Any) -> Iterator[Any]:
    """This thread's connection of a new alias to the test database, with a pool of its own."""
    other = connection.copy(alias)
    options = settings.pop("OPTIONS", {})
    other.settings_dict |= settings
    other.settings_dict["OPTIONS"] |= options
    connections[alias] = other
    try:
        yield other
    finally:
        other.close()
        if other.vendor == "postgresql":
            other.close_pool()
        del connections[alias]
