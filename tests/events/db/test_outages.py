"""What counts as an outage: errors as the databases really raise them, in Django's and in the driver's own form."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import DatabaseError, Error, OperationalError, connection, transaction
from psycopg_pool import ConnectionPool

from events.db import discard, is_outage
from tests.conformance.processes import database_url

OUTAGES = ["08000", "08003", "08006", "57P01", "57P02", "57P03", "57P05", "25006", "53100", "53300", "58030"]
OF_STATEMENTS = ["23505", "40P01", "40001", "57014", "55P03", "25P03", "53200", "42P01", "22012"]


def raised(call: Callable[[], object]) -> BaseException:
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


def sql(statement: str, *parameters: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)


def end_session() -> None:
    connection.ensure_connection()
    with psycopg.connect(database_url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [connection.connection.info.backend_pid])


@pytest.fixture
def new_session() -> Iterator[None]:
    yield
    discard(connection)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("code", "expected"), [(c, True) for c in OUTAGES] + [(c, False) for c in OF_STATEMENTS])
def test_the_server_s_code_decides(code: str, expected: bool) -> None:
    error = raised(lambda: sql(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$"))
    assert isinstance(error, Error)
    assert is_outage(error) is expected
    assert is_outage(error.__cause__) is expected


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_session_that_ends_in_a_transaction_is_an_outage_at_each_further_statement(new_session: None) -> None:
    def go_on() -> None:
        with transaction.atomic():
            sql("SELECT 1")
            end_session()
            for _ in range(3):
                error = raised(lambda: sql("SELECT 1"))
                assert isinstance(error, OperationalError)
                assert is_outage(error)

    assert is_outage(raised(go_on))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_session_that_was_ended_within_a_transaction_is_an_outage_at_its_commit(new_session: None) -> None:
    def swallow() -> None:
        with transaction.atomic():
            sql("SELECT 1")
            end_session()
            with pytest.raises(OperationalError):
                sql("SELECT 1")

    assert is_outage(raised(swallow))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_what_fails_while_an_outage_is_handled_is_an_outage(new_session: None) -> None:
    def note_the_error() -> None:
        with transaction.atomic():
            try:
                end_session()
                sql("SELECT 1")
            except OperationalError:
                discard(connection)
                sql("SELECT 'the connection is closed in its block'")

    error = raised(note_the_error)
    assert not isinstance(error, OperationalError)
    assert is_outage(error)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_an_error_raised_from_an_outage_is_one() -> None:
    def wrap() -> None:
        try:
            sql("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '57P01'; END $$")
        except OperationalError as error:
            raise RuntimeError("no shop today") from error

    assert is_outage(raised(wrap))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_bug_of_its_own_in_handling_an_outage_is_none() -> None:
    def stumble() -> None:
        try:
            sql("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '57P01'; END $$")
        except OperationalError:
            {}["missing"]

    assert not is_outage(raised(stumble))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_server_that_refuses_or_does_not_answer_is_an_outage() -> None:
    refused = database_url().rsplit("/", 1)[0].rsplit(":", 1)[0] + ":1/airy"
    assert is_outage(raised(lambda: psycopg.connect(refused, connect_timeout=5)))
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        try:
            assert is_outage(raised(lambda: sql("CREATE TABLE not_made (id int)")))
        finally:
            cursor.execute("RESET default_transaction_read_only")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_no_session_from_the_pool_in_time_is_an_outage() -> None:
    with ConnectionPool(database_url(), min_size=1, max_size=1, timeout=0.05, open=False) as pool:
        session = pool.getconn(timeout=20)
        try:
            timed_out = raised(pool.getconn)
        finally:
            pool.putconn(session)
    assert is_outage(timed_out)
    assert is_outage(raised(pool.getconn))  # the pool is closed

    def as_django_has_it() -> None:
        with connection.wrap_database_errors:
            raise timed_out

    assert is_outage(raised(as_django_has_it))


@pytest.mark.home
def test_an_error_made_by_hand_is_none() -> None:
    for error in (OperationalError("the connection is closed"), DatabaseError("lost"), ValueError("57P01"), None):
        assert not is_outage(error)


@pytest.mark.home
def test_a_full_a_read_only_and_a_missing_file_of_sqlite_are_outages(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite3"
    session = sqlite3.connect(file)
    session.execute("CREATE TABLE t (x)")
    session.execute("PRAGMA max_page_count = 2")
    full = raised(lambda: session.execute("INSERT INTO t VALUES (zeroblob(100000))"))
    session.close()
    read_only = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    refused = raised(lambda: read_only.execute("INSERT INTO t VALUES (1)"))
    read_only.close()
    missing = raised(lambda: sqlite3.connect(tmp_path / "no" / "such" / "folder"))
    for error in (full, refused, missing):
        assert is_outage(error), error


@pytest.mark.home
def test_a_locked_sqlite_and_an_error_in_its_sql_are_none(tmp_path: Path) -> None:
    first, second = (sqlite3.connect(tmp_path / "x.sqlite3", timeout=0) for _ in range(2))
    first.execute("BEGIN IMMEDIATE")
    locked = raised(lambda: second.execute("BEGIN IMMEDIATE"))
    wrong = raised(lambda: second.execute("SELECT * FROM nothing"))
    assert "locked" in str(locked)
    assert not is_outage(locked)
    assert not is_outage(wrong)
    first.close()
    second.close()
