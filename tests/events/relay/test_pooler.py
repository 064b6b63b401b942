"""PgBouncer between: in transaction mode the relay needs DATABASE_DIRECT_URL, and says so; with it all is as ever."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

from events.models import Delivery, OutboxMessage
from events.relay.models import RelayTerm
from events.relay.own_session import SessionRefusedError, own_session
from tests.conformance.processes import Manage, database_url
from tests.support.effects import all_done, assert_one_effect_each, ring
from tests.support.servers.pgbouncer import Pooler, running_pooler
from tests.support.servers.process import ServerMissingError
from tests.support.sessions import another_connection

pytestmark = [pytest.mark.postgres]

Eventually = Callable[..., None]
#: OPTIONS that a pooler of transactions takes.
PLAIN = {"options": "", "prepare_threshold": None}
#: It can be told to drop what it does not know, instead of refusing it.
IGNORING = "ignore_startup_parameters = options, extra_float_digits"


@pytest.fixture
def pooler(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Starts a PgBouncer in front of the test's database server."""

    @contextmanager
    def start(**options: Any) -> Iterator[Pooler]:
        config = connection.settings_dict
        where = {"host": config["HOST"], "port": config["PORT"] or 5432, "user": config["USER"] or "postgres"}
        try:
            with running_pooler(tmp_path_factory.mktemp("pooler"), **where, **options) as pooler:
                yield pooler
        except ServerMissingError as reason:
            pytest.skip(str(reason))

    return start


@contextmanager
def behind(pooler: Pooler, alias: str = "other", **options: Any) -> Iterator[Any]:
    """A connection of Django's through the pooler."""
    with another_connection(alias, HOST="127.0.0.1", PORT=pooler.port, OPTIONS={"pool": None} | options) as other:
        yield other


@pytest.mark.parametrize(
    ("size", "more"),
    [(1, ""), (5, ""), (5, IGNORING), (1, IGNORING), (5, "server_round_robin = 1")],
)
def test_a_session_that_a_pooler_of_transactions_shares_out_is_refused_in_words(
    db: None, pooler: Callable[..., Any], size: int, more: str
) -> None:
    refused = pytest.raises(SessionRefusedError, match="DATABASE_DIRECT_URL")
    with pooler(size=size, more=more) as between, behind(between) as other, refused:
        own_session(other)


@pytest.mark.parametrize("more", ["", IGNORING])
def test_a_pooler_of_sessions_is_taken(db: None, pooler: Callable[..., Any], more: str) -> None:
    with pooler(mode="session", more=more) as between, behind(between) as other:
        own_session(other).close()


def test_a_command_that_starts_a_relay_refuses_the_pooler(manage: Manage, pooler: Callable[..., Any]) -> None:
    with pooler() as between:
        relay = manage("relay", DATABASE_URL=between.url(connection.settings_dict["NAME"]))
        assert relay.wait(60) == 1
        assert "DATABASE_DIRECT_URL" in manage.log()


@pytest.mark.parametrize("elsewhere", ["/postgres", "/{name}?options=-csearch_path%3Delsewhere"])
def test_a_direct_address_of_another_database_or_schema_is_refused(
    db: None, pooler: Callable[..., Any], settings: Any, elsewhere: str
) -> None:
    name = connection.settings_dict["NAME"]
    settings.DATABASE_DIRECT_URL = database_url().replace(f"/{name}", elsewhere.format(name=name))
    refused = pytest.raises(SessionRefusedError, match="leads to another")
    with pooler() as between, behind(between, **PLAIN) as other, refused:
        own_session(other)


WRITERS = """
import threading
from django.db import connections
from tests.support.effects import ring

def write(writer):
    for number in range(10):
        ring(1, start=1 + 10 * writer + number)
    connections.close_all()

threads = [threading.Thread(target=write, args=(writer,)) for writer in range(5)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


@pytest.mark.rabbitmq
@pytest.mark.parametrize("size", [3])
def test_behind_a_pooler_of_transactions_every_event_is_delivered_once_by_one_relay_and_soon(
    manage: Manage, pooler: Callable[..., Any], eventually: Eventually, size: int
) -> None:
    with pooler(size=size) as between:
        name = connection.settings_dict["NAME"]
        environment = {"DATABASE_URL": between.url(name), "DATABASE_DIRECT_URL": database_url()}
        manage("relay", **environment)
        manage("relay", **environment)
        manage.worker(**environment)
        ring(1)
        eventually(lambda: all_done(1), within=90)
        term = RelayTerm.objects.latest("number")
        writers = manage("shell", "-c", WRITERS, **environment)
        assert writers.wait(120) == 0, manage.log()[-3000:]
        eventually(lambda: all_done(51), within=90)
        assert_one_effect_each(51)
        assert not Delivery.objects.exclude(state="done").exists()
        assert all(delivery.attempts == 1 for delivery in Delivery.objects.filter(subscriber="effects.alone"))
        waits = []
        for number in range(51, 61):
            begun = time.monotonic()
            ring(1, start=number)
            eventually(lambda: not OutboxMessage.objects.exists(), within=10)
            waits.append(time.monotonic() - begun)
        assert statistics.median(waits) < 0.4, waits  # a poll alone takes half a second at the median
        assert RelayTerm.objects.latest("number").number == term.number
        assert RelayTerm.objects.latest("number").holder == term.holder
        manage.stop()  # while the pooler is there


def test_the_limit_of_a_statement_is_not_left_behind_in_the_poolers_session(
    transactional_db: None, pooler: Callable[..., Any], settings: Any
) -> None:
    settings.DATABASE_DIRECT_URL = database_url()
    with pooler(size=1) as between, behind(between, **PLAIN) as other:
        records = Delivery.objects.using(other.alias)
        asked = []

        def limit() -> str:
            with other.cursor() as cursor:
                cursor.execute("SHOW statement_timeout")
                return str(cursor.fetchone()[0])

        with records.statements_limited(1_234):
            asked.append(limit())
            with transaction.atomic(using=other.alias):
                asked.append(limit())
            with behind(between, "stranger", **PLAIN) as stranger, stranger.cursor() as cursor:
                cursor.execute("SHOW statement_timeout")
                asked.append(cursor.fetchone()[0])
        asked.append(limit())
    assert asked == ["1234ms", "1234ms", "0", "0"]
