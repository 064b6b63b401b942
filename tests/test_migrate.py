"""`manage.py migrate`: nobody waits behind it for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from airy.management.commands import migrate
from tests.conformance.processes import database_url

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

#: A migration that takes a column away needs the lock of this table.
TABLE, BACK = "notifications_stream", ("notifications", "0001")


@pytest.fixture
def reader() -> Iterator[psycopg.Connection]:
    """A session that has read the table in a transaction, and goes on. The migrations are as before afterwards."""
    with psycopg.connect(database_url()) as session:
        session.execute(f"SELECT count(*) FROM {TABLE}")
        yield session
    call_command("migrate", "notifications", verbosity=0)


def test_a_migration_gives_way_to_a_long_reader_and_is_applied_after_it(reader: psycopg.Connection) -> None:
    said, asked = StringIO(), list[float]()

    def ask_until_it_gives_way() -> None:
        deadline = time.monotonic() + 30
        with psycopg.connect(database_url(), autocommit=True) as session:
            while "A table is in use" not in said.getvalue() and time.monotonic() < deadline:
                began = time.monotonic()
                session.execute(f"SELECT count(*) FROM {TABLE}")
                asked.append(time.monotonic() - began)
        reader.rollback()

    others = threading.Thread(target=ask_until_it_gives_way)
    others.start()
    call_command("migrate", *BACK, verbosity=0, stderr=said)
    others.join()
    assert "tried again in 1 s" in said.getvalue()
    assert 0.2 < max(asked) < 5  # it held up another session, for the time of its own wait
    with connection.cursor() as cursor:
        assert "reads" not in {one.name for one in connection.introspection.get_table_description(cursor, TABLE)}
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


def test_a_migration_that_gave_way_too_often_names_the_cure(
    reader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "PAUSES", (0,))
    said = StringIO()
    with pytest.raises(CommandError, match="Look for old ones in pg_stat_activity"):
        call_command("migrate", *BACK, verbosity=0, stderr=said)
    assert said.getvalue().count("A table is in use") == 1
    reader.rollback()
