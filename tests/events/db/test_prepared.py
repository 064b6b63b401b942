"""A function of the database called first in a transaction, together with the BEGIN."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from django.db import DataError, OperationalError, connection, transaction

from events.db.prepared import call
from tests.conformance.processes import database_url

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

#: They live as long as the session.
ECHO = """
    CREATE OR REPLACE FUNCTION pg_temp.echo(text, text) RETURNS text
    LANGUAGE sql AS $$ SELECT $1 || coalesce($2, ' and nothing') $$
"""
NOTE = """
    CREATE OR REPLACE FUNCTION pg_temp.note(text) RETURNS text
    LANGUAGE sql AS $$ SELECT set_config('airy.note', $1, false) $$
"""
DIVIDE = """
    CREATE OR REPLACE FUNCTION pg_temp.divide(int) RETURNS text
    LANGUAGE sql AS $$ SELECT (1 / $1)::text $$
"""


@pytest.fixture(autouse=True)
def functions(transactional_db: None) -> None:
    with connection.cursor() as cursor:
        for function in (ECHO, NOTE, DIVIDE):
            cursor.execute(function)


def has_begun() -> bool:
    return connection.connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS


@pytest.mark.parametrize("text", ["plain", "it's", r"back\slash", '{"a":"b"}', "", "中文; ROLLBACK"])
def test_values_arrive_as_they_are(text: str) -> None:
    with transaction.atomic():
        assert not has_begun()
        assert call(connection, "pg_temp.echo", text, None) == f"{text} and nothing"
        assert has_begun()
        assert call(connection, "pg_temp.echo", text, " again") == f"{text} again"


def test_the_begin_and_the_call_are_one_message(tmp_path: Path) -> None:
    with (tmp_path / "trace").open("w") as trace, transaction.atomic():
        wire = connection.connection.pgconn
        wire.trace(trace.fileno())
        call(connection, "pg_temp.echo", "a", "b")
        wire.untrace()
    sent = [line.split("\t")[3] for line in (tmp_path / "trace").read_text().splitlines() if "\tF\t" in line]
    assert sent == ["Query"]


def test_what_the_function_did_is_rolled_back_with_the_rest() -> None:
    with transaction.atomic():
        call(connection, "pg_temp.note", "written")
        transaction.set_rollback(True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('airy.note', true)")
        assert not cursor.fetchone()[0]


def test_a_transaction_begun_with_a_call_is_djangos() -> None:
    with transaction.atomic():
        call(connection, "pg_temp.note", "written")
        with pytest.raises(DataError), transaction.atomic():  # a savepoint, which needs a transaction around it
            call(connection, "pg_temp.divide", 0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('airy.note', true)")
        assert cursor.fetchone()[0] == "written"


def test_an_error_of_the_function_is_djangos_and_leaves_the_connection_fit() -> None:
    for _ in range(2):
        with pytest.raises(DataError, match="division by zero"), transaction.atomic():
            call(connection, "pg_temp.divide", 0)
        with transaction.atomic():
            assert call(connection, "pg_temp.divide", 1) == "1"


def test_a_session_that_was_ended_is_djangos_error_and_the_next_one_works() -> None:
    with pytest.raises(OperationalError), transaction.atomic():
        with psycopg.connect(database_url(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [connection.connection.info.backend_pid])
        call(connection, "pg_temp.echo", "a", "b")
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute(ECHO)
    with transaction.atomic():
        assert call(connection, "pg_temp.echo", "a", "b") == "ab"
