"""Indexes: made and removed while others read and write the table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper


def build_index(connection: BaseDatabaseWrapper, statement: str, *, name: str) -> None:
    """Run a statement that begins with CREATE INDEX and the name, unless there is such an index.

    On PostgreSQL outside of a transaction nobody waits for it, however long it takes; it waits itself until the
    transactions end that use the table. What an interrupted attempt left is made anew.
    """
    if not _can_be_concurrent(connection):
        _execute(connection, statement.replace("CREATE INDEX", "CREATE INDEX IF NOT EXISTS", 1))
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [f'"{name}"'])
        valid = cursor.fetchone()
    if valid == (False,):
        drop_index(connection, name=name)
    if valid != (True,):
        with _no_lock_timeout(connection):
            _execute(connection, statement.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1))


def drop_index(connection: BaseDatabaseWrapper, *, name: str) -> None:
    """Remove an index in the same way, if there is one."""
    with _no_lock_timeout(connection):
        concurrently = "CONCURRENTLY " if _can_be_concurrent(connection) else ""
        _execute(connection, f'DROP INDEX {concurrently}IF EXISTS "{name}"')


def _can_be_concurrent(connection: BaseDatabaseWrapper) -> bool:
    return connection.vendor == "postgresql" and not connection.in_atomic_block


def _execute(connection: BaseDatabaseWrapper, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@contextmanager
def _no_lock_timeout(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Nobody waits behind a statement that is concurrent, so it may wait for long."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        before = cursor.fetchone()[0]
        if before != "0":
            cursor.execute("SET lock_timeout = 0")
        yield
        if before != "0":
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])
