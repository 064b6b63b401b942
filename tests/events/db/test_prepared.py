"""A statement past psycopg's cursor, and a function called first in a transaction, together with the BEGIN."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import DataError, OperationalError, connection, transaction

from events.db import is_outage
from events.db.prepared import call, fetch
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


def sent_by(path: Path, work: Callable[[], object]) -> list[str]:
    """The messages that the client sends in the meantime."""
    connection.ensure_connection()
    wire = connection.connection.pgconn
    with path.open("w") as trace:
        wire.trace(trace.fileno())
        work()
        wire.untrace()
    return [line.split("\t")[3] for line in path.read_text().splitlines() if "\tF\t" in line]


@pytest.mark.parametrize("text", ["plain", "it's", r"back\slash", '{"a":"b"}', "", "中文; ROLLBACK"])
def test_values_arrive_as_they_are(text: str) -> None:
    with transaction.atomic():
        assert not has_begun()
        assert call(connection, "pg_temp.echo", text, None) == f"{text} and nothing"
        assert has_begun()
        assert call(connection, "pg_temp.echo", text, " again") == f"{text} again"


def test_the_begin_and_the_call_are_one_message(tmp_path: Path) -> None:
    with transaction.atomic():
        assert sent_by(tmp_path / "trace", lambda: call(connection, "pg_temp.echo", "a", "b")) == ["Query"]


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


SPLIT = "SELECT %s::bigint + 1, %s::text, 1 / %s::int, '%%'"


@pytest.mark.parametrize("in_transaction", [True, False])
def test_a_fetched_statement_is_prepared_once_and_then_only_bound(tmp_path: Path, in_transaction: bool) -> None:
    with transaction.atomic() if in_transaction else nullcontext():
        first = fetch(connection, SPLIT, ["41", "it's %s", "1"])
        found: list[Any] = []
        sent = sent_by(tmp_path / "trace", lambda: found.extend(fetch(connection, SPLIT, ["41", None, "-1"])))
    assert first == [(42, "it's %s", 1, "%")]
    assert found == [(42, None, -1, "%")]
    assert "Parse" not in sent
    assert sent.count("Bind") == 1
    assert len(sent) == 4  # Bind, Describe, Execute, Sync


def test_a_fetch_begins_the_transaction_that_django_has_entered() -> None:
    fetch(connection, SPLIT, ["1", "", "1"])
    with transaction.atomic():
        assert not has_begun()
        fetch(connection, SPLIT, ["1", "", "1"])
        assert has_begun()


def test_a_failed_fetch_raises_djangos_error_and_leaves_the_transaction_broken() -> None:
    fetch(connection, SPLIT, ["1", "", "1"])
    with pytest.raises(DataError, match="division by zero"), transaction.atomic():
        connection.cursor().execute("SELECT 1")
        fetch(connection, SPLIT, ["1", "", "0"])
    assert fetch(connection, SPLIT, ["1", "", "1"]) == [(2, "", 1, "%")]


@pytest.mark.parametrize("statement", ["DEALLOCATE ALL", "DISCARD ALL", "ROLLBACK", "DROP TABLE IF EXISTS none"])
def test_a_session_whose_statements_are_forgotten_prepares_again(statement: str) -> None:
    for _ in range(2):
        assert fetch(connection, SPLIT, ["1", "", "1"]) == [(2, "", 1, "%")]
        connection.cursor().execute(statement)
    assert fetch(connection, SPLIT, ["1", "", "1"]) == [(2, "", 1, "%")]


def test_who_listens_to_statements_hears_of_a_fetch(django_assert_num_queries: Callable[..., Any]) -> None:
    fetch(connection, SPLIT, ["1", "", "1"])
    with django_assert_num_queries(1):
        fetch(connection, SPLIT, ["1", "", "1"])
    heard = []

    def hear(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        heard.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(hear):
        fetch(connection, SPLIT, ["1", "", "1"])
    assert heard == [SPLIT]


def test_a_fetch_on_a_lost_session_is_an_outage() -> None:
    fetch(connection, SPLIT, ["1", "", "1"])
    with pytest.raises(OperationalError) as caught, transaction.atomic():
        connection.cursor().execute("SELECT 1")
        with psycopg.connect(database_url(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
        fetch(connection, SPLIT, ["1", "", "1"])
    assert is_outage(caught.value)
    assert fetch(connection, SPLIT, ["1", "", "1"]) == [(2, "", 1, "%")]
