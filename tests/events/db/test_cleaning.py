"""What a subscriber sets on its session does not reach the next user of it: another subscriber, a request, itself."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

import psycopg
import pytest
from django.db import connection, connections, transaction
from django.db.backends.signals import connection_created
from django.test import Client

from events.bus import emit, subscriber
from events.db.cleaning import SQLITE_AT_FIRST, _state, clean_sessions
from events.models import Delivery
from events.testing import deliver
from tests.conformance.processes import database_url
from tests.effects.events import Knocked, Rang
from tests.effects.models import Effect
from tests.support.own_subscribers import own_subscribers
from tests.support.sessions import another_connection, pid

pytestmark = [pytest.mark.django_db(transaction=True)]
#: Statements of a culprit, and what another user of the session would meet.
LEAKS = {
    "search_path": "SET search_path = nowhere",
    "by a function": "SELECT set_config('search_path', 'nowhere', false)",
    "read-only": "SET default_transaction_read_only = on",
    "statement time-out": "SET statement_timeout = 1",
    "lock time-out": "SET lock_timeout = 1",
    "time zone": "SET TIME ZONE 'Asia/Shanghai'",
    "role": "SET ROLE pg_monitor",
    "authorization": "SET SESSION AUTHORIZATION pg_monitor",
    "isolation": "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "a table that hides another": "CREATE TEMP TABLE effects_effect (x int)",
    "listen": "LISTEN something",
    "advisory lock": "SELECT pg_advisory_lock(4711)",
    "held cursor": "DECLARE held CURSOR WITH HOLD FOR SELECT 1",
}


LEAKS_OF_SQLITE = (
    "PRAGMA query_only = ON",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA ignore_check_constraints = ON",
    "PRAGMA read_uncommitted = ON",
    "PRAGMA locking_mode = EXCLUSIVE",
    "ATTACH ':memory:' AS other",
    "CREATE TEMP TABLE effects_effect (x int)",
)


def state(session: Any = connection) -> list[Any]:
    """What a session of PostgreSQL is like for its user."""
    questions = (
        "SELECT name, setting FROM pg_settings WHERE name NOT LIKE '%.%' ORDER BY name",
        "SELECT current_user::text, session_user::text",
        "SELECT relname::text FROM pg_class WHERE relpersistence = 't' AND pg_table_is_visible(oid)",
        "SELECT * FROM pg_listening_channels()",
        "SELECT name FROM pg_cursors WHERE is_holdable",
        "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
    )
    with session.cursor() as cursor:
        found = []
        for question in questions:
            cursor.execute(question)
            found.append(cursor.fetchall())
        return found


def knock(sql: str, *, fails: bool = False, **options: Any) -> None:
    """Three events to two subscribers: a culprit that runs SQL on its session, and one that writes and emits."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    with own_subscribers():

        @subscriber(Knocked, name=f"{name}.culprit", max_retries=0, **options)
        def culprit(event: Knocked) -> None:
            with connection.cursor() as cursor:
                cursor.execute(sql)
            if fails:
                raise ValueError("after it")

        @subscriber(Knocked, name=f"{name}.next", max_retries=0)
        def next_one(event: Knocked) -> None:
            Effect.objects.create(subscriber=name, number=event.number)
            emit(Rang(number=event.number, mood="calm"))

        with transaction.atomic():
            for number in range(3):
                emit(Knocked(number=number))
        deliver()
    assert Effect.objects.filter(subscriber=name).count() == 3
    done = Delivery.objects.filter(attempts=1).values_list("subscriber", "state")
    assert Counter(done.filter(subscriber__startswith=name)) == {
        (f"{name}.culprit", "dead" if fails else "done"): 3,
        (f"{name}.next", "done"): 3,
    }


@pytest.mark.postgres
@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "not atomic"])
def test_what_a_subscriber_sets_is_gone_after_it(atomic: bool, fails: bool) -> None:
    connection.ensure_connection()
    before, server = state(), pid()
    for leak, sql in LEAKS.items():
        knock(sql, fails=fails, atomic=atomic)
        for now, then in zip(state(), before, strict=True):
            assert set(now) == set(then), leak
        assert pid() == server, leak
    assert Client().get("/").status_code == 200


@pytest.mark.postgres
def test_prepared_statements_survive_the_cleaning() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
    names = set(connection.connection.execute("SELECT name FROM pg_prepared_statements").fetchall())
    with clean_sessions():
        pass
    assert names <= set(connection.connection.execute("SELECT name FROM pg_prepared_statements").fetchall())


@pytest.mark.postgres
def test_what_django_sets_on_each_session_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"CONN_MAX_AGE": 600, "TIME_ZONE": "America/New_York"}
    options = {"pool": None, "assume_role": "pg_monitor", "isolation_level": psycopg.IsolationLevel.REPEATABLE_READ}
    with another_connection(OPTIONS=options, **settings) as other:
        before, server = state(other), pid(other)
        monkeypatch.setitem(connections.settings, "other", other.settings_dict)
        with clean_sessions(), other.cursor() as cursor:
            cursor.execute("RESET ROLE")
            cursor.execute("SET TIME ZONE 'UTC'")
            other.connection.isolation_level = None
        assert (state(other), pid(other)) == (before, server)
        with transaction.atomic(using="other"), other.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            assert cursor.fetchone()[0] == "repeatable read"


@pytest.mark.postgres
def test_what_a_project_sets_as_a_connection_is_made_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def limit(connection: Any, **kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 4711")

    connection_created.connect(limit)
    try:
        with another_connection(OPTIONS={"pool": None}, CONN_MAX_AGE=600) as other:
            server = pid(other)
            monkeypatch.setitem(connections.settings, "other", other.settings_dict)
            with clean_sessions(), other.cursor() as cursor:
                cursor.execute("SET statement_timeout = 1000")
            with other.cursor() as cursor:
                cursor.execute("SHOW statement_timeout")
                assert cursor.fetchone()[0] == "4711ms"
            assert pid(other) == server
    finally:
        connection_created.disconnect(limit)


@pytest.mark.postgres
def test_a_session_left_in_a_transaction_and_a_lost_one_are_discarded() -> None:
    server = pid()
    with clean_sessions():
        connection.connection.execute("BEGIN")
    assert pid() != server
    server = pid()
    with clean_sessions(), psycopg.connect(database_url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [server])
    assert pid() != server


@pytest.mark.postgres
def test_a_session_within_a_transaction_of_its_caller_is_left_alone() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = 4711")
        with clean_sessions():
            pass
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone()[0] == "4711ms"


@pytest.mark.home
@pytest.mark.skipif(connection.vendor != "sqlite", reason="a PRAGMA is SQLite's")
@pytest.mark.parametrize("max_age", [0, None], ids=["closed", "kept"])
@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
def test_what_a_subscriber_sets_on_sqlite_is_gone_after_it(
    monkeypatch: pytest.MonkeyPatch, fails: bool, max_age: int | None
) -> None:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", max_age)
    for sql in LEAKS_OF_SQLITE:
        knock(sql, fails=fails, atomic=False)
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA foreign_keys")
            assert cursor.fetchone()[0] == 1, sql
        assert connection.connection is not None
        assert _state(connection.connection) == SQLITE_AT_FIRST, sql
