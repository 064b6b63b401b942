"""Database: does it answer, is it up to date, does its clock agree, is something held in it for long?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.db import Error, connections, router

from ..db.unapplied import unapplied_migrations
from ..errors import summary
from ..finding import Finding, Severity
from ..outbox.models import OutboxMessage
from ..passwords import why_weak
from ..relay.own_session import SessionRefusedError, direct_url, require_session
from ..repair.partitions import log_and_inbox
from .examination import examination

#: Seconds that the server gets to answer.
CONNECT_TIMEOUT = 5
#: Seconds that the clocks may differ, beside the time that the question took.
CLOCKS_DIFFER = 1.0
#: Seconds after which a transaction counts as long.
LONG_TRANSACTION = 300
#: The part of the allowed sessions that may be in use.
SESSIONS_IN_USE = 0.8
#: Rows of log and inbox that plain tables may have.
PLAIN_ROWS = 1_000_000

#: What keeps rows of the past: its name, its age in seconds, and the cure.
_HELD = """
    SELECT 'The transaction of session ' || pid || ' (' || coalesce(nullif(application_name, ''), 'no name') || ', ' ||
        state || ')', extract(epoch FROM now() - xact_start),
        'End it if nobody needs it: SELECT pg_terminate_backend(' || pid || ')'
    FROM pg_stat_activity WHERE xact_start < now() - %s * interval '1 second' AND backend_type = 'client backend'
        AND datname = current_database() AND pid <> pg_backend_pid()
    UNION ALL
    SELECT 'The prepared transaction ' || gid, extract(epoch FROM now() - prepared),
        'End it: ROLLBACK PREPARED ''' || gid || ''''
    FROM pg_prepared_xacts WHERE prepared < now() - %s * interval '1 second' AND database = current_database()
"""
_SESSIONS = """
    SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity
    WHERE backend_type = 'client backend'
"""


def why_unreachable() -> str:
    """Why the database of the events does not answer; empty if it does.

    It is asked past the pool of connections, which would try for half a minute, and not say why.
    """
    connection = _connection()
    try:
        if connection.vendor == "postgresql":
            parameters = connection.get_connection_params() | {"connect_timeout": CONNECT_TIMEOUT}
            connection.Database.connect(**parameters).close()
        else:
            connection.ensure_connection()
    except (Error, connection.Database.Error) as error:
        return summary(error)
    return ""


def why_unusable() -> str:
    """Why the tables cannot be read, in a few words; empty if they can."""
    if why_unreachable():
        return "the database does not answer"
    return "migrations are not applied" if unapplied_migrations(_connection()) else ""


@examination("Database")
def database() -> Iterator[Finding]:
    """It answers, takes no weak password, and has all tables."""
    connection = _connection()
    yield from password(connection.settings_dict)
    if why := why_unreachable():
        yield Finding(
            problem=f"The database does not answer: {why}",
            cure="Start it, or correct DATABASES (in Airy: DATABASE_URL). Until then nothing is read or written.",
        )
        return
    if missing := unapplied_migrations(connection):
        yield Finding(
            problem=f"{len(missing)} migrations are not applied: {', '.join(missing[:5])}{', …' * (len(missing) > 5)}",
            cure="Run `manage.py migrate`. The old code may go on meanwhile.",
        )


def password(settings: dict[str, Any]) -> Iterator[Finding]:
    """settings: an entry of DATABASES."""
    if not settings["ENGINE"].endswith("postgresql") or str(settings["HOST"]).startswith("/") or not settings["HOST"]:
        return
    if why := why_weak(str(settings["PASSWORD"] or ""), user=str(settings["USER"])):
        yield Finding(
            problem=f"The password of {settings['USER']} at the database {settings['HOST']} {why}.",
            cure="Set another one: ALTER ROLE … PASSWORD '…', then DATABASES (in Airy: DATABASE_URL).",
            severity=Severity.WARNING,
        )


@examination("Clocks", needs_database=True)
def clocks() -> Iterator[Finding]:
    """The clock of this machine and that of the database agree."""
    connection = _connection()
    if connection.vendor != "postgresql":
        return
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        ((theirs,),) = cursor.fetchall()
    yield from clock_differs(float(theirs), before=before, after=time.time())


def clock_differs(theirs: float, *, before: float, after: float) -> Iterator[Finding]:
    """theirs: what the other clock said between `before` and `after` by ours, in seconds."""
    ahead = max(theirs - after, 0) or min(theirs - before, 0)
    if abs(ahead) > CLOCKS_DIFFER:
        yield Finding(
            problem=f"The database's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this one.",
            cure="Run a time service (chrony, systemd-timesyncd) on both machines.",
            severity=Severity.WARNING,
        )


@examination("Long transactions", needs_database=True)
def long_transactions() -> Iterator[Finding]:
    """Nothing keeps the database from cleaning up, and sessions are left."""
    connection = _connection()
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [LONG_TRANSACTION, LONG_TRANSACTION])
        held = cursor.fetchall()
        cursor.execute(_SESSIONS)
        ((used, allowed),) = cursor.fetchall()
        cursor.execute("SELECT current_setting('autovacuum')")
        ((autovacuum,),) = cursor.fetchall()
    for what, seconds, cure in held:
        yield Finding(
            problem=f"{what} is {int(seconds / 60)} minutes old: meanwhile no deleted row is cleaned up.",
            cure=f"{cure}.",
            severity=Severity.WARNING,
        )
    if used > allowed * SESSIONS_IN_USE:
        yield Finding(
            problem=f"{used} of the {allowed} sessions that PostgreSQL allows are in use.",
            cure="Raise max_connections, lower DATABASE_POOL_SIZE, or put a pooler between (docs/operations.md).",
            severity=Severity.WARNING,
        )
    if autovacuum != "on":
        yield Finding(
            problem="autovacuum is off: tables only grow, and every statement becomes slower.",
            cure="ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf()",
        )


@examination("Partitions", needs_database=True)
def partitions() -> Iterator[Finding]:
    """Log and inbox are partitioned, with partitions for the next day."""
    both = log_and_inbox()
    if both.connection.vendor != "postgresql":
        return
    if both.is_begun():
        yield Finding(
            problem="`manage.py partition` has begun and not ended: until then each event is written twice.",
            cure="Run it again: it goes on where it was. Or give it up: `manage.py partition --undo`.",
            severity=Severity.WARNING,
        )
    elif not both.is_partitioned() and (rows := both.rows()) > PLAIN_ROWS:
        yield Finding(
            problem=f"Log and inbox are plain tables with about {rows:,} rows: what is pruned goes row by row.",
            cure="Run `manage.py partition` beside the site (docs/operations.md, Keeping and pruning).",
            severity=Severity.WARNING,
        )
    elif both.is_partitioned() and both.days_ahead() < 1:
        yield Finding(
            problem="There is no partition for tomorrow: new events go to the default one, and leave it row by row.",
            cure="Start a relay, which makes partitions every hour, and look for `chore put off` in its log; or run"
            " `manage.py partition` as the owner of the tables.",
            severity=Severity.WARNING,
        )


@examination("Pooler", needs_database=True)
def pooler() -> Iterator[Finding]:
    """The relay gets a database session of its own."""
    try:
        require_session()
    except SessionRefusedError as error:
        first, _, cure = str(error).partition(". ")
        yield Finding(problem=f"{first}.", cure=cure or "See docs/operations.md, Behind PgBouncer.")
        return
    options = _connection().settings_dict.get("OPTIONS", {})
    if direct_url() and options.get("prepare_threshold", None) is not None:
        yield Finding(
            problem="DATABASE_DIRECT_URL says that a pooler is between, and statements are prepared all the same.",
            cure='Take "prepare_threshold" out of the OPTIONS in DATABASES.',
        )


def _connection() -> Any:
    return connections[router.db_for_write(OutboxMessage)]
