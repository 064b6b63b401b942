"""Own session: opens the relay's connection to PostgreSQL, and makes sure that nobody else gets its session."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import connections, router
from django.utils.translation import gettext as _

from ..db.names import table
from ..outbox.models import OutboxMessage

#: Seconds, and the number of probes, after which a session ends whose other side is gone: PostgreSQL ends that of a
#: relay whose machine is gone, and the relay that of a server whose machine is gone.
TCP_KEEPALIVES = {"idle": 2, "interval": 1, "count": 2}
#: Milliseconds that sent data may wait for the other side's kernel.
TCP_USER_TIMEOUT = 5_000
#: Seconds that the server gets to answer the first connection.
CONNECT_TIMEOUT = 5
#: A setting that PostgreSQL does not know, and keeps for the session that set it.
MARK = "events.session"
#: Times that a session behind a pooler is looked at before it is believed.
LOOKS = 5


class SessionRefusedError(RuntimeError):
    """The session that the relay gets is not what it needs; the message names the cure."""


def direct_url() -> str:
    """The address of PostgreSQL itself, where DATABASES leads to a pooler of transactions; empty without a pooler."""
    return str(getattr(settings, "DATABASE_DIRECT_URL", "") or "")


def own_session(connection: Any) -> Any:
    """A psycopg connection in autocommit, opened as `connection` is, or to the setting DATABASE_DIRECT_URL.

    Locks and LISTEN need a session. A pooler of transactions gives each transaction another one, and to each session
    many strangers. Raises SessionRefusedError then.
    """
    driver, parameters = connection.Database, connection.get_connection_params()
    keepalives = {f"keepalives_{name}": value for name, value in TCP_KEEPALIVES.items()}
    parameters |= {"connect_timeout": CONNECT_TIMEOUT, "tcp_user_timeout": TCP_USER_TIMEOUT, "autocommit": True}
    parameters |= keepalives
    if url := direct_url():
        for name in ("host", "port", "user", "password", "dbname", "service"):
            parameters.pop(name, None)
        parameters |= driver.conninfo.conninfo_to_dict(url)
    mark = uuid.uuid4().hex
    options = parameters.pop("options", "")
    try:
        session = driver.connect(**parameters, options=f"{options} -c {MARK}={mark}".strip())
    except driver.OperationalError as error:
        if "startup parameter" not in str(error):
            raise
        session = driver.connect(**parameters)  # PgBouncer refuses options, however it pools
    try:
        if _mark_of(session)[1] != mark:  # or PostgreSQL itself took the option
            _require_a_session(session, driver, parameters, mark)
        if url:
            _require_one_database(session, connection)
    except BaseException:
        session.close()
        raise
    return session


def require_session() -> None:
    """Look once, before a process starts, whether the relay would get a session. A server that does not answer is no
    reason to refuse: the relay waits for it. Raises SessionRefusedError."""
    connection: Any = connections[router.db_for_write(OutboxMessage)]
    if connection.vendor == "postgresql":
        with suppress(connection.Database.OperationalError):
            own_session(connection).close()


def _require_a_session(session: Any, driver: Any, parameters: dict[str, Any], mark: str) -> None:
    """Mark the session, and look whether a stranger gets it, or another one comes back for it."""
    session.execute("SELECT set_config(%s, %s, false)", [MARK, mark], prepare=False)
    process = _mark_of(session)[0]
    for _look in range(LOOKS):
        with driver.connect(**parameters) as stranger:
            shared = _mark_of(stranger)[0] == process
        if shared or _mark_of(session) != (process, mark):
            raise SessionRefusedError(
                _(
                    "The relay needs a database session of its own, and a pooler of transactions such as PgBouncer is "
                    "between. Set DATABASE_DIRECT_URL to the address of PostgreSQL itself, for example "
                    "postgres://user:password@host:5432/name."
                )
            )


def _require_one_database(session: Any, connection: Any) -> None:
    """Compare where the session and Django's connection lead to: the server, the database and the schema."""
    where = "SELECT extract(epoch FROM pg_postmaster_start_time()), current_database(), to_regclass(%s)::oid"
    with connection.cursor() as cursor:
        cursor.execute(where, [table(OutboxMessage)])
        expected = cursor.fetchone()
    if session.execute(where, [table(OutboxMessage)], prepare=False).fetchone() != expected:
        raise SessionRefusedError(
            _(
                "DATABASE_DIRECT_URL leads to another server, database or schema than DATABASES, where the events are. "
                "It must lead to the same one, without the pooler."
            )
        )


def _mark_of(session: Any) -> tuple[int, str | None]:
    """The server process that answers, and the mark that it bears."""
    found: tuple[int, str | None] = session.execute(
        "SELECT pg_backend_pid(), current_setting(%s, true)", [MARK], prepare=False
    ).fetchone()
    return found
