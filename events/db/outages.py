"""Outages: what the database's environment did, and not the statement that met it."""

from __future__ import annotations

import sqlite3
import sys

from django.db import Error

#: PostgreSQL's classes of errors that are all outages: connection exceptions.
CLASSES = ("08",)
#: PostgreSQL's codes of an outage: ended by an administrator, a crash or a start that is not over; the database was
#: dropped; ended because idle; read-only (a standby, or a primary that a fail-over left behind); disk full; too many
#: connections; an error of the disk.
#: Left out, as the statement may be the reason: out of memory, time-outs of statements, locks and transactions.
SQLSTATES = {"57P01", "57P02", "57P03", "57P04", "57P05", "25006", "53100", "53300", "58000", "58030"}
#: The same of SQLite. "Database is locked" is none: it has a time-out of its own.
SQLITE_CODES = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}
#: What psycopg says without a code of the server when two threads use one connection.
MISUSE = "another command is already in progress"


def is_outage(error: BaseException | None) -> bool:
    """Whether an error tells of an outage: a lost or refused session, a restart, a fail-over, a full disk, too many
    connections, no connection from the pool in time.

    It looks at the causes of the error, too, and at what a database error was raised in the handling of. The same
    statement may succeed later, on a new session: see `discard`. A transaction that was declared read-only looks the
    same as a server that is; a caller that waits for better times needs a limit of its own.
    """
    try:
        return _is_any_outage(error)
    except Exception:  # noqa: BLE001 - an error's own methods may raise anything; then it is none of the database's
        return False


def _is_any_outage(error: BaseException | None) -> bool:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if _is_outage(error):
            return True
        seen.add(id(error))
        in_handling = error.__context__ if isinstance(error, Error) and not error.__suppress_context__ else None
        error = error.__cause__ or in_handling
    return False


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in SQLITE_CODES
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(code, str):
        return code in SQLSTATES or code.startswith(CLASSES)
    # psycopg need not be installed beside SQLite. Its pool's errors are of this class, too.
    psycopg = sys.modules.get("psycopg")
    if psycopg is not None and isinstance(error, psycopg.OperationalError):
        return MISUSE not in str(error)
    if type(error).__name__ != "InterfaceError":
        return False  # str() of any other error may do anything
    return "connection" in str(error) and "closed" in str(error)
