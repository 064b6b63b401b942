"""The outbox: what is read from it, in which order, and at what price while a million rows wait."""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq
import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from events.brokers.contract import ROWS_PER_PASS
from events.brokers.embedded import EmbeddedBroker
from events.brokers.hand_over_outbox import MAILBOX_CAPACITY, EmbeddedCourier
from events.bus import emit
from events.db.names import table
from events.models import Delivery, OutboxMessage, StoredEvent
from events.outbox.messages import Batch
from events.subscription import subscriptions
from tests.conformance.processes import database_url
from tests.conformance.rabbitmq import remove_queues
from tests.effects.events import Rang
from tests.support.effects import ring

Statement = tuple[str, Any]
MOODY = "effects.moody"
WAITING = 40_000
#: Pages a query may touch, however many rows wait: a few levels of an index, and the rows it takes.
PAGES = 100


@pytest.fixture
def broker(transactional_db: None) -> EmbeddedBroker:
    """An embedded broker that nobody works for: what is carried stays in its mailboxes."""
    broker = EmbeddedBroker()
    for subscription in subscriptions.values():
        broker.subscribe(subscription)
    return broker


def carry_all(broker: EmbeddedBroker) -> None:
    courier = EmbeddedCourier(broker)
    while courier.carry():
        pass


def waiting_rows(count: int, *, subscriber: str, due: dt.datetime | None) -> None:
    """Rows that wait, each with its event, written by the database itself."""
    numbers = (
        f"SELECT g AS n FROM generate_series(1, {count}) AS g"
        if connection.vendor == "postgresql"
        else f"WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) SELECT n FROM c"
    )
    new_id = "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"
    with connection.cursor() as cursor:
        newest = StoredEvent.objects.order_by("-sequence").values_list("sequence", flat=True).first() or 0
        cursor.execute(
            "INSERT INTO events_storedevent"
            " (event_id, topic, version, source, subject, time, data, correlation_id, traceparent, suppressed)"
            f" SELECT {new_id}, 'bell.rang', 1, '/airy', '', %s, '{{\"number\": 1}}', {new_id}, '', ''"
            f" FROM ({numbers}) AS numbers",
            [timezone.now()],
        )
        cursor.execute(
            "INSERT INTO events_outboxmessage (event_id, subscriber, due, run, attempt, priority, claimed)"
            " SELECT event_id, %s, %s, 0, 1, 0, false FROM events_storedevent WHERE sequence > %s ORDER BY sequence",
            [subscriber, due, newest],
        )
        # Rows that earlier tests deleted would be walked over, too.
        may_vacuum = connection.vendor == "postgresql" and not connection.in_atomic_block
        cursor.execute("VACUUM ANALYZE" if may_vacuum else "ANALYZE")


def assert_walks_nothing(sql: str, params: Any) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params)
            plan = cursor.fetchone()[0]
            plan = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
            pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            assert pages <= PAGES, (pages, sql)
        else:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
            plan = "\n".join(row[3] for row in cursor.fetchall())
            walked = [line for line in plan.splitlines() if line.startswith("SCAN events_outboxmessage")]
            # The index of claimed rows holds no others.
            assert all(line.endswith("USING INDEX events_outbox_claimed") for line in walked), (plan, sql)
            assert "TEMP B-TREE" not in plan, (plan, sql)


@contextmanager
def reads() -> Iterator[list[Statement]]:
    """The outbox's SELECTs that are executed inside, with their parameters."""
    seen: list[Statement] = []

    def keep(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "events_outboxmessage" in sql and sql.lstrip().startswith("SELECT"):
            seen.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(keep):
        yield seen


def test_no_pass_of_the_embedded_relay_walks_rows_it_may_not_take(broker: EmbeddedBroker) -> None:
    waiting_rows(WAITING, subscriber=MOODY, due=None)
    waiting_rows(WAITING, subscriber=MOODY, due=timezone.now() + dt.timedelta(days=1))
    courier = EmbeddedCourier(broker)
    courier.carry()
    assert broker.mailboxes[f"airy.{MOODY}"].size() == MAILBOX_CAPACITY
    for strangers in (0, 5):
        ring(strangers)
        with reads() as statements:
            moved = courier.carry()
        assert bool(moved) == bool(strangers)
        assert statements
        for statement in statements:
            assert_walks_nothing(*statement)


def test_a_relay_that_begins_walks_no_rows_that_nobody_claimed(broker: EmbeddedBroker) -> None:
    waiting_rows(WAITING, subscriber=MOODY, due=timezone.now() + dt.timedelta(days=1))
    with reads() as statements:
        EmbeddedCourier(broker)
    for statement in statements:
        assert_walks_nothing(*statement)


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_no_pass_of_the_relay_to_rabbitmq_walks_rows_it_may_not_take(transactional_db: None, vhost: str) -> None:
    waiting_rows(WAITING, subscriber=MOODY, due=timezone.now() + dt.timedelta(days=1))
    courier = dramatiq.get_broker().courier()
    for strangers in (5, 0):
        ring(strangers)
        with reads() as statements:
            assert courier.carry() == strangers
        assert statements
        for statement in statements:
            assert_walks_nothing(*statement)
    courier.close()
    remove_queues()


def test_subscribers_waiting_are_those_that_have_rows_of_their_own_to_take(db: None) -> None:
    for subscriber, due in (("b", None), ("a", None), ("c", timezone.now()), ("b", None), ("", None)):
        waiting_rows(3, subscriber=subscriber, due=due)
    assert OutboxMessage.objects.subscribers_waiting() == ["a", "b"]
    OutboxMessage.objects.filter(subscriber="a").update(claimed=True)
    assert OutboxMessage.objects.subscribers_waiting() == ["b"]


def test_the_time_until_the_next_row_is_due_is_known_to_the_millisecond(db: None) -> None:
    assert OutboxMessage.objects.seconds_until_due() is None
    with transaction.atomic():
        emit(Rang(number=1), delay=dt.timedelta(hours=1))
        emit(Rang(number=2), delay=dt.timedelta(minutes=1))
        emit(Rang(number=3))
    until = OutboxMessage.objects.seconds_until_due()
    assert until is not None
    assert 30 < round(until, 3) <= 60  # SQLite counts in days, with a few microseconds of error


def test_the_next_batch_is_the_new_rows_in_order_and_the_time_until_the_first_is_due(db: None) -> None:
    assert OutboxMessage.objects.next_batch(5)._replace(asked_at=None) == Batch([], [], True)
    ring(3)
    ring(1, priority=5)
    batch = OutboxMessage.objects.next_batch(5)._replace(asked_at=None)
    assert batch == Batch(OutboxMessage.objects.new().as_rows(), [], True)
    waiting_rows(2, subscriber=MOODY, due=timezone.now() + dt.timedelta(minutes=1))
    rows, _, complete, until, _ = OutboxMessage.objects.next_batch(2)
    assert not complete
    assert [(row.priority, row.envelope.data["number"]) for row in rows] == [(5, 0), (0, 0)]
    assert until is not None
    assert 30 < round(until, 3) <= 60  # SQLite counts in days, with a few microseconds of error
    OutboxMessage.objects.filter(subscriber="").delete()
    rows, _, _, until, _ = OutboxMessage.objects.next_batch(2)
    assert rows == []
    assert until is not None


@pytest.mark.postgres
def test_what_was_carried_leaves_without_waiting_for_the_disk_and_nothing_else_does(transactional_db: None) -> None:
    def patience() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return cursor.fetchone()[0]

    ring(2)
    before = patience()
    with transaction.atomic():
        OutboxMessage.objects.remove(OutboxMessage.objects.new().as_rows())
        assert patience() == "off"
    assert patience() == before
    assert not OutboxMessage.objects.exists()


def test_a_row_scheduled_anew_while_it_was_carried_stays(db: None) -> None:
    ring(3)
    first, *others = OutboxMessage.objects.new().as_rows()
    retry = OutboxMessage(event_id=first.event_id, subscriber=MOODY, due=timezone.now(), attempt=2)
    OutboxMessage.objects.schedule([retry])
    carried = [*others, *OutboxMessage.objects.due().as_rows()]
    retry.attempt = 3
    OutboxMessage.objects.schedule([retry])
    OutboxMessage.objects.remove(carried)
    assert set(OutboxMessage.objects.values_list("event_id", "attempt")) == {(first.event_id, 1), (first.event_id, 3)}
    OutboxMessage.objects.remove(OutboxMessage.objects.as_rows())
    assert not OutboxMessage.objects.exists()


def test_rows_for_an_unknown_subscriber_become_dead_letters_a_bounded_number_at_a_time(broker: EmbeddedBroker) -> None:
    waiting_rows(ROWS_PER_PASS + 100, subscriber="effects.renamed", due=None)
    courier = EmbeddedCourier(broker)
    courier.carry()
    assert Delivery.objects.filter(state="dead").count() == ROWS_PER_PASS
    courier.carry()
    assert Delivery.objects.filter(state="dead").count() == ROWS_PER_PASS + 100
    assert courier.carry() == 0


def test_what_is_urgent_overtakes_a_backlog_that_fills_its_mailbox(broker: EmbeddedBroker) -> None:
    ring(2 * MAILBOX_CAPACITY)
    carry_all(broker)
    mailbox = broker.mailboxes["airy.effects.alone"]
    (begun,) = mailbox.take(1, timeout=0)
    ring(2 * MAILBOX_CAPACITY, priority=9)
    carry_all(broker)
    assert mailbox.size(priority=9) == MAILBOX_CAPACITY  # as many of each priority, and no more
    assert mailbox.size(priority=0) == MAILBOX_CAPACITY - 1 + MAILBOX_CAPACITY
    assert [begun.priority, *(message.priority for message in mailbox.take(3, timeout=0))] == [0, 9, 9, 9]


def test_redelivered_messages_take_no_room_from_new_ones(broker: EmbeddedBroker) -> None:
    mailbox = broker.mailboxes["airy.effects.alone"]
    ring(MAILBOX_CAPACITY)
    carry_all(broker)
    mailbox.put([message._replace(redelivered=True) for message in mailbox.empty()])
    ring(3)
    carry_all(broker)
    assert mailbox.size() == 3


def test_a_worker_of_the_same_process_continues_with_messages_the_last_one_released(
    broker: EmbeddedBroker,
) -> None:
    ring(4)
    carry_all(broker)
    mailbox = broker.mailboxes["airy.effects.alone"]
    redelivered, *others = mailbox.empty()
    mailbox.put([redelivered._replace(redelivered=True), *others])
    broker.release_unstarted()
    assert not broker.claimed
    carry_all(broker)
    again = mailbox.empty()
    assert {message.event_id for message in again} == {message.event_id for message in (redelivered, *others)}
    assert [message.event_id for message in again if message.redelivered] == [redelivered.event_id]


def test_fresh_rows_are_not_held_up_by_a_crowd_whose_time_has_come(broker: EmbeddedBroker) -> None:
    waiting_rows(5_000, subscriber="", due=timezone.now() - dt.timedelta(seconds=1))
    ring(300)
    courier = EmbeddedCourier(broker)
    courier.carry()
    assert not OutboxMessage.objects.new().exists()
    owed = {row.envelope.data["number"] for row in OutboxMessage.objects.filter(subscriber=MOODY).as_rows()}
    assert set(range(300)) <= owed


@pytest.mark.postgres
def test_a_row_that_is_scheduled_again_while_it_is_deleted_late_stays(transactional_db: None) -> None:
    """A delivery fails just before the relay has the row's lock: the retry must not go with the row that was sent."""
    (event_id,) = ring(1)
    OutboxMessage.objects.create(event_id=event_id, subscriber=MOODY, due=timezone.now())
    (sent,) = OutboxMessage.objects.due().as_rows()

    def schedule_first(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if "FOR UPDATE" in sql:
            with psycopg.connect(database_url(), autocommit=True) as other:
                other.execute(f"UPDATE {table(OutboxMessage)} SET attempt = 2 WHERE id = %s", [sent.pk])
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(schedule_first):
        assert OutboxMessage.objects.remove_unlocked({sent.pk: sent}) == {}
    assert OutboxMessage.objects.get(subscriber=MOODY).attempt == 2
