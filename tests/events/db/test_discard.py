"""A session that failed is closed for good, with and without a pool; a session that is fine is given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connection, connections, transaction
from django.db.utils import load_backend

from events.db import discard
from tests.conformance.processes import database_url
from tests.support.at_once import at_once
from tests.support.sessions import end_all_sessions

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["pool", "no pool"])
def session(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A connection like the default one, of an alias of its own, with a pool of one session or without one."""
    other = connection.copy("other")
    other.settings_dict["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 1} if request.param == "pool" else None
    other.settings_dict["CONN_MAX_AGE"] = 0 if request.param == "pool" else 600
    connections["other"] = other
    try:
        yield other
    finally:
        other.close()
        other.close_pool()
        del connections["other"]


def pid(session: Any) -> int:
    with session.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def lives(backend: int) -> bool:
    with psycopg.connect(database_url()) as other:
        return bool(other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [backend]).fetchall())


@pytest.mark.postgres
def test_the_server_s_session_ends_and_the_next_use_has_another(session: Any, eventually: Callable[..., None]) -> None:
    before = pid(session)
    discard(session)
    assert session.connection is None
    assert pid(session) != before
    eventually(lambda: not lives(before))


@pytest.mark.postgres
def test_an_alias_names_this_thread_s_connection(session: Any) -> None:
    before = pid(session)
    discard("other")
    assert pid(session) != before


@pytest.mark.postgres
def test_an_atomic_block_does_not_commit_and_the_next_one_works(session: Any) -> None:
    with session.cursor() as cursor:
        cursor.execute("CREATE TABLE discarded (x int)")
    try:
        with transaction.atomic(using="other"), session.cursor() as cursor:
            cursor.execute("INSERT INTO discarded VALUES (1)")
            discard(session)
            with pytest.raises(DatabaseError):
                session.cursor()
        with transaction.atomic(using="other"), session.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM discarded")
            assert cursor.fetchone()[0] == 0
    finally:
        with session.cursor() as cursor:
            cursor.execute("DROP TABLE discarded")


@pytest.mark.postgres
def test_a_lost_session_and_none_at_all_are_discarded_without_an_error(session: Any) -> None:
    discard(session)
    before = pid(session)
    with psycopg.connect(database_url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [before])
    discard(session)
    discard(session)
    assert pid(session) != before


def test_the_default_database_works_after_it() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    discard(connection)
    with transaction.atomic():
        discard(connection)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone()[0] == 1


@pytest.mark.home
@pytest.mark.skipif(connection.vendor != "sqlite", reason="a PRAGMA is SQLite's")
def test_what_a_session_of_sqlite_was_told_is_gone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON")
    discard("default")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only")
        assert cursor.fetchone()[0] == 0


def test_another_thread_s_connection_is_refused() -> None:
    connection.ensure_connection()
    mine = connections[DEFAULT_DB_ALIAS]
    (error,) = at_once(lambda: discard_of(mine))
    assert isinstance(error, DatabaseError)


def discard_of(theirs: Any) -> Exception | None:
    try:
        discard(theirs)
    except DatabaseError as error:
        return error
    return None


@pytest.mark.postgres
def test_the_others_in_a_pool_are_replaced_when_the_server_ended_one() -> None:
    stock = load_backend("django.db.backends.postgresql").DatabaseWrapper(connection.copy().settings_dict, "stock")
    stock.settings_dict["OPTIONS"]["pool"] = {"min_size": 2, "max_size": 2}
    try:
        stock.ensure_connection()
        pool = stock.pool
        stale = pool.getconn(20)
        pool.putconn(stale)
        end_all_sessions()
        with pytest.raises(OperationalError):
            pid(stock)
        discard(stock)
        assert pid(stock)
        assert stale.closed
    finally:
        stock.close()
        stock.close_pool()
