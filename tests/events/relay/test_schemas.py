"""Two installations in the schemas of one database, each found by its search path, do not meet."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg.sql import SQL, Identifier

from events.models import OutboxMessage, StoredEvent
from events.relay.listen import PostgresListener
from events.relay.session import PostgresSession
from tests.conformance.processes import Manage, database_url
from tests.effects.models import Effect
from tests.support.effects import SUBSCRIBERS, all_done, ring
from tests.support.sessions import another_connection

pytestmark = [pytest.mark.postgres]

Eventually = Callable[..., None]
SCHEMA = "second_installation"


@pytest.fixture
def schema(transactional_db: None) -> Iterator[psycopg.Connection[Any]]:
    """A second schema; yields a session in it."""
    with psycopg.connect(f"{database_url()}?options=-csearch_path%3D{SCHEMA}", autocommit=True) as session:
        session.execute(SQL("CREATE SCHEMA {}").format(Identifier(SCHEMA)))
        try:
            yield session
        finally:
            session.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(SCHEMA)))


@contextmanager
def listening(search_path: str) -> Iterator[PostgresListener]:
    """A relay's listener, asleep."""
    with another_connection(f"listener_{search_path}", OPTIONS={"options": f"-c search_path={search_path}"}) as other:
        session = PostgresSession(other)
        listener = PostgresListener(session)
        listener.start()
        try:
            with listener.asleep() as asleep:
                assert asleep
                yield listener
        finally:
            session.close()


@contextmanager
def in_schema() -> Iterator[None]:
    """This thread's connection leads to the second schema."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('search_path', %s, false)", [SCHEMA])
        try:
            yield
        finally:
            cursor.execute("SELECT set_config('search_path', 'public', false)")


def test_a_commit_wakes_the_relay_of_its_own_schema_alone(
    schema: psycopg.Connection[Any], eventually: Eventually
) -> None:
    """On one connection, whose statements are prepared, and whose search path changes."""
    for model in (StoredEvent, OutboxMessage):
        name = Identifier(model._meta.db_table)
        schema.execute(SQL("CREATE TABLE {0} (LIKE public.{0} INCLUDING ALL)").format(name))
    with listening("public") as first, listening(SCHEMA) as second:
        for count in (1, 2):
            ring(1)
            eventually(first.notified)
            assert not second.notified()
            first.wait(0)
            with in_schema():
                ring(1)
            eventually(second.notified)
            assert not first.notified()
            second.wait(0)
            assert OutboxMessage.objects.count() == count
            assert schema.execute("SELECT count(*) FROM events_outboxmessage").fetchone() == (count,)


@pytest.mark.rabbitmq
def test_two_schemas_deliver_side_by_side(
    manage: Manage, schema: psycopg.Connection[Any], eventually: Eventually
) -> None:
    second = {
        "DATABASE_URL": f"{database_url()}?options=-csearch_path%3D{SCHEMA}",
        "MQ_EXCHANGE": "second.events",
        "MQ_QUEUE_PREFIX": "second.",
    }
    dump = ("pg_dump", "--schema-only", "--schema=public", database_url())
    tables = subprocess.run(dump, capture_output=True, check=True).stdout.replace(b"CREATE SCHEMA public;", b"")
    psql = ("psql", "--quiet", database_url())
    subprocess.run(psql, input=tables.replace(b"public.", f"{SCHEMA}.".encode()), capture_output=True, check=True)
    manage.worker()
    ring(5)
    eventually(lambda: all_done(5), within=60)
    manage.worker(**second)
    with in_schema():
        ring(5)
    done = "SELECT count(*) FROM events_delivery WHERE state = 'done' AND subscriber LIKE 'effects.%'"
    eventually(lambda: schema.execute(done).fetchone() == (5 * len(SUBSCRIBERS),), within=30)
    ring(5, start=5)
    eventually(lambda: all_done(10), within=30)
    assert Effect.objects.count() == 10 * len(SUBSCRIBERS)
    manage.stop()  # while the schema is there
