"""Indexes are built beside those who write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import connection

from events.db import build_index, drop_index
from tests.conformance.processes import database_url

pytestmark = pytest.mark.django_db(transaction=True)

BUILD = "CREATE INDEX scratch_number ON scratch (number)"


@pytest.fixture(autouse=True)
def scratch() -> Iterator[None]:
    """A table of this test's own."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE scratch (number integer)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE scratch")


def indexes() -> dict[str, object]:
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, "scratch")


def test_an_index_is_built_once_and_removed_once() -> None:
    for _ in range(2):
        build_index(connection, BUILD, name="scratch_number")
        assert list(indexes()) == ["scratch_number"]
    for _ in range(2):
        drop_index(connection, name="scratch_number")
        assert indexes() == {}


@pytest.mark.postgres
def test_what_an_interrupted_attempt_left_is_built_anew() -> None:
    build_index(connection, BUILD, name="scratch_number")
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'scratch_number'::regclass"
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'scratch_number'::regclass")
        build_index(connection, BUILD, name="scratch_number")
        cursor.execute(valid)
        assert cursor.fetchone() == (True,)


@pytest.mark.postgres
def test_others_write_while_an_index_is_built_and_a_short_lock_timeout_does_not_end_it(
    eventually: Callable[..., None],
) -> None:
    def build() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
            build_index(connection, BUILD, name="scratch_number")
            cursor.execute("SHOW lock_timeout")
            left.extend(cursor.fetchone())
            cursor.execute("RESET lock_timeout")
        connection.close()

    left = list[str]()
    with psycopg.connect(database_url()) as first, psycopg.connect(database_url(), autocommit=True) as other:
        first.execute("INSERT INTO scratch VALUES (1)")
        builder = threading.Thread(target=build)
        builder.start()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND wait_event_type = 'Lock'"
        eventually(lambda: other.execute(waiting).fetchall())
        other.execute("SET statement_timeout = '5s'")
        other.execute("INSERT INTO scratch VALUES (2)")
        first.commit()
        builder.join()
    assert left == ["50ms"]
    assert list(indexes()) == ["scratch_number"]
