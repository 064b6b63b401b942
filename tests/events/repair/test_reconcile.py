"""Reconcile: what a broker lost is healed, once; what merely waits is left alone."""

import datetime as dt
import io
import re
import threading
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from typing import Any

import dramatiq
import pika
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from pika.exceptions import ChannelClosedByBroker

import events.repair.missing
import events.worker.services
from events.bus import emit, subscriber, suppressed
from events.models import Delivery, OutboxMessage, StoredEvent, Straggler, Subscription
from events.repair.announce import announce
from events.repair.dead_letters import dead_letters, requeue
from events.repair.reconcile import Reconciler
from events.repair.stable_offset import StableOffset
from events.subscription import subscriptions
from events.testing import deliver
from events.worker.services import WorkerServices
from tests.conformance.processes import Manage
from tests.conformance.rabbitmq import rabbitmqctl, remove_queues
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.support.effects import SUBSCRIBERS, all_done, assert_one_effect_each, ring
from tests.support.own_subscribers import own_subscribers

Eventually = Callable[..., None]
NONE = dt.timedelta(0)
ABOUT_BELLS = len(SUBSCRIBERS)


def looks(times: int = 3, *, patience: dt.timedelta = NONE, reconciler: Reconciler | None = None) -> dict[str, int]:
    """How many each subscriber had healed in so many looks."""
    reconciler = reconciler or Reconciler(dramatiq.get_broker(), patience=patience)
    healed: dict[str, int] = {}
    for _ in range(times):
        for one in reconciler.run_pass():
            healed[one.subscriber] = healed.get(one.subscriber, 0) + one.count
    return healed


def age(**how: int) -> None:
    """Let time pass for what is noted."""
    for model, field in ((Straggler, "owed_at"), (Delivery, "at"), (StoredEvent, "time")):
        for row in model.objects.all():
            setattr(row, field, getattr(row, field) - dt.timedelta(**how))
            row.save(update_fields=[field])


# In the database alone: what the outbox lost ------------------------------------------------------------------------


@pytest.fixture
def home(db: None, request: pytest.FixtureRequest) -> None:
    """Announced subscribers; on RabbitMQ queues that are idle."""
    if connection.vendor == "postgresql":
        request.getfixturevalue("vhost")
        remove_queues()
    announce()


def test_nothing_is_healed_that_is_done_or_owed(home: None) -> None:
    ring(5)
    ring(2, start=5, delay=dt.timedelta(days=3))
    assert looks() == {}
    deliver()
    assert looks() == {}
    assert Straggler.objects.count() == 2 * ABOUT_BELLS
    assert set(Subscription.objects.values_list("accounted", flat=True)) == {StoredEvent.objects.newest()}
    OutboxMessage.objects.update(due=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    deliver()
    assert looks() == {}
    assert not Straggler.objects.exists()


def test_what_was_lost_is_owed_again_once_however_often_one_looks(home: None) -> None:
    ring(5, priority=3)
    OutboxMessage.objects.all().delete()
    reconciler = Reconciler(dramatiq.get_broker(), patience=NONE)
    assert looks(reconciler=reconciler) == {
        f"effects.{name}": 5 for name in ("moody", "in_batches", "alone", "asynchronous")
    }
    owed = OutboxMessage.objects.filter(subscriber="effects.moody")
    assert set(owed.values_list("priority", "attempt", "run")) == {(3, 1, 0)}
    assert not owed.filter(due=None).exists()
    OutboxMessage.objects.all().delete()  # on its way again, or lost again
    assert looks(5, reconciler=reconciler) == {}
    age(minutes=6)
    assert set(looks(3, reconciler=reconciler).values()) == {5}
    OutboxMessage.objects.all().delete()
    age(minutes=6)
    assert looks(3, reconciler=reconciler) == {}, "the pause grows"
    age(minutes=6)
    assert set(looks(3, reconciler=reconciler).values()) == {5}
    deliver()
    assert looks(reconciler=reconciler) == {}
    assert_one_effect_each(5)
    assert not Straggler.objects.exists()


def test_a_retry_that_was_lost_goes_on_with_its_attempt(home: None) -> None:
    ring(1, mood="later")
    with transaction.atomic():
        rows = OutboxMessage.objects.all()
        rows.delete()
    Delivery.objects.create(
        event_id=StoredEvent.objects.get().event_id, subscriber="effects.moody", state="retrying", attempts=2
    )
    looks()
    assert OutboxMessage.objects.get(subscriber="effects.moody").attempt == 3


def test_a_requeued_dead_letter_far_back_in_the_log_is_watched_like_a_new_one(home: None) -> None:
    ring(1, mood="hopeless")
    deliver()
    ring(3, start=1)
    deliver()
    assert looks() == {}, "dead is final"
    requeue(dead_letters())
    OutboxMessage.objects.all().delete()
    age(minutes=2)
    assert looks() == {"effects.moody": 1}


def test_suppressed_events_and_those_before_the_subscription_or_its_pattern_are_not_owed(home: None) -> None:
    ring(3)
    deliver()
    Delivery.objects.all().delete()
    Subscription.objects.update(accounted=StoredEvent.objects.newest())
    with transaction.atomic(), suppressed("an import"):
        emit(Rang(number=9))
    with own_subscribers():

        @subscriber("account.*", name="effects.late")
        def late(event: Any) -> None: ...

        announce()

        subscriptions["effects.late"] = replace(subscriptions["effects.late"], patterns=("account.*", "bell.*"))
        ring(1, start=20)
        OutboxMessage.objects.all().delete()
        announce()
        ring(1, start=30)
        OutboxMessage.objects.all().delete()
        healed = looks()
        assert healed["effects.late"] == 1
        assert healed["effects.moody"] == 2
        assert OutboxMessage.objects.get(subscriber="effects.late").event.data["number"] == 30


def test_a_pass_is_bounded_and_the_next_goes_on(home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events.repair.missing, "MAX_PER_PASS", 20)
    monkeypatch.setattr(events.repair.missing, "LINES_PER_STATEMENT", 15)
    ring(50)
    OutboxMessage.objects.all().delete()
    reconciler = Reconciler(dramatiq.get_broker(), patience=NONE)
    assert [sum(one.count for one in reconciler.run_pass()) // ABOUT_BELLS for _ in range(6)] == [20, 20, 10, 0, 0, 0]
    deliver()
    assert_one_effect_each(50)


def test_a_dry_run_counts_and_changes_nothing(home: None) -> None:
    ring(4)
    OutboxMessage.objects.all().delete()
    would = Reconciler(dramatiq.get_broker()).would_heal()
    assert {one.count for one in would} == {4}
    assert not OutboxMessage.objects.exists()
    assert not Straggler.objects.exists()


def test_what_is_recent_is_given_its_time(home: None) -> None:
    ring(1)
    OutboxMessage.objects.all().delete()
    reconciler = Reconciler(dramatiq.get_broker())
    assert looks(reconciler=reconciler) == {}
    assert not Straggler.objects.exists()


def test_the_command_heals_and_says_what(home: None) -> None:
    ring(3)
    OutboxMessage.objects.all().delete()
    out = io.StringIO()
    call_command("reconcile", "--dry-run", stdout=out)
    assert "would be healed" in out.getvalue()
    assert not OutboxMessage.objects.exists()
    out = io.StringIO()
    call_command("reconcile", "--patience", "0.01", stdout=out)
    assert re.search(r"effects\.moody *│ 3 ", out.getvalue())
    deliver()
    out = io.StringIO()
    call_command("reconcile", "--patience", "0", stdout=out)
    assert out.getvalue() == "No lost events.\n"
    with pytest.raises(CommandError, match="seconds, for example 5"):
        call_command("reconcile", "--patience", "long")


# On PostgreSQL: the stable offset, and the plans ------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_late_is_not_passed_by(eventually: Eventually) -> None:
    inserted, release = threading.Event(), threading.Event()

    def late() -> None:
        with transaction.atomic():
            emit(Rang(number=1))
            inserted.set()
            release.wait(30)
        connections.close_all()

    thread = threading.Thread(target=late)
    thread.start()
    assert inserted.wait(20)
    ring(3, start=2)
    stable_offset = StableOffset()
    end = StoredEvent.objects.newest()
    for _ in range(3):
        assert stable_offset.advance() == 0
    ring(1, start=9)  # who comes later holds up nothing
    release.set()
    thread.join()
    assert stable_offset.advance() >= end
    assert StoredEvent.objects.filter(sequence__lte=end).count() == 4
    assert stable_offset.advance() == StoredEvent.objects.newest()


@pytest.mark.postgres
def test_at_fifty_thousand_events_no_statement_walks_the_log_or_the_inbox(home: None) -> None:
    count = 50_000
    names = [*SUBSCRIBERS[:3], "asynchronous"]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_storedevent (event_id, topic, version, source, subject, time, data, correlation_id,"
            " traceparent, suppressed) SELECT gen_random_uuid(), 'bell.rang', 1, '/airy', '', now() - interval '1 h',"
            " '{\"number\": 1}', gen_random_uuid(), '', '' FROM generate_series(1, %s)",
            [count],
        )
        cursor.execute(
            "INSERT INTO events_delivery (event_id, subscriber, run, state, attempts, at, reason)"
            " SELECT event_id, 'effects.' || name, 0, 'done', 1, now() - interval '1 h', ''"
            " FROM events_storedevent, unnest(%s::text[]) name WHERE sequence %% 100 > 0 OR name <> 'moody'",
            [names],
        )
        cursor.execute("ANALYZE events_storedevent, events_delivery, events_straggler, events_outboxmessage")
    since = StoredEvent.objects.order_by("sequence")[40_000].sequence
    Subscription.objects.update(since=since, bindings={})
    lost = len([n for n in range(since + 1, StoredEvent.objects.newest() + 1) if n % 100 == 0])
    plans: list[str] = []
    with connection.execute_wrapper(_explaining(plans)):
        assert looks(2) == {"effects.moody": lost}
    # Of a partition with a few rows, the few pages are read; 50,000 rows cost more than 1,000.
    walk = re.compile(r"Seq Scan on events_(?:storedevent|delivery)\S* .*?\(cost=[\d.]+\.\.(\d+)")
    walked = [one for one in plans if any(int(cost) > 200 for cost in walk.findall(one))]
    assert walked == []
    assert len(plans) > 20


def _explaining(plans: list[str]) -> Any:
    """Ask PostgreSQL for the plan of each statement that is a question."""

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith(("SELECT", "WITH")) and "events_" in sql and "pg_locks" not in sql:
            execute(f"EXPLAIN {sql}", params, many, context)
            plans.append("\n".join(line for (line,) in context["cursor"].fetchall()))
        return execute(sql, params, many, context)

    return explain


# With a real RabbitMQ -----------------------------------------------------------------------------------------------


class Rabbit:
    """This run's RabbitMQ, as an operator and as a fault."""

    def __init__(self, vhost: str) -> None:
        self._vhost = vhost
        parameters = copy(dramatiq.get_broker().parameters)
        parameters.heartbeat = 0  # a test does not answer while it waits
        self._connection = pika.BlockingConnection(parameters)
        self.channel = self._connection.channel()

    def publish(self) -> None:
        """What the relay does, until the outbox is empty."""
        courier = dramatiq.get_broker().courier()
        while courier.carry():
            pass
        courier.close()
        assert not OutboxMessage.objects.exists()

    def waiting(self, name: str) -> int:
        channel = self._connection.channel()
        try:
            return int(channel.queue_declare(subscriptions[name].queue, passive=True).method.message_count)
        except ChannelClosedByBroker:
            return 0

    def delete(self, name: str) -> None:
        rabbitmqctl("delete_queue", "-p", self._vhost, subscriptions[name].queue)

    def hold(self, name: str) -> int:
        """Take what waits and do not acknowledge it, as a busy worker does."""
        held = 0
        while self.channel.basic_get(subscriptions[name].queue)[0] is not None:
            held += 1
        return held

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def rabbit(manage: Manage, vhost: str) -> Iterator[Rabbit]:
    remove_queues()  # with what other tests left in them
    announce()
    rabbit = Rabbit(vhost)
    yield rabbit
    rabbit.close()


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_a_queue_deleted_with_its_messages_is_healed_and_the_others_are_left_alone(
    rabbit: Rabbit, manage: Manage, eventually: Eventually
) -> None:
    ring(30)
    rabbit.publish()
    assert looks() == {}, "they merely wait"
    assert not Straggler.objects.exists()
    rabbit.delete("effects.moody")
    rabbit.channel.queue_purge(subscriptions["effects.alone"].queue)
    assert looks(5) == {"effects.moody": 30, "effects.alone": 30}
    manage.worker()
    eventually(lambda: all_done(30), within=60)
    assert_one_effect_each(30)
    assert looks(5) == {}


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_a_single_lost_message_in_a_busy_queue_is_healed_once_later_ones_are_done(
    rabbit: Rabbit, manage: Manage, eventually: Eventually
) -> None:
    ring(5)
    rabbit.publish()
    lost = rabbit.channel.basic_get(subscriptions["effects.moody"].queue, auto_ack=True)
    assert lost[0] is not None
    worker = manage.worker()
    eventually(lambda: Delivery.objects.count() == 5 * ABOUT_BELLS - 1, within=60)
    manage.kill(worker)
    ring(1, start=5, priority=9)  # the queue is not idle, so that only order tells
    rabbit.publish()
    reconciler = Reconciler(dramatiq.get_broker(), patience=NONE)
    assert looks(4, reconciler=reconciler) == {}, "overtaken, but nothing emitted since is done yet"
    assert Straggler.objects.count() == 1
    worker = manage.worker()
    eventually(lambda: Delivery.objects.filter(subscriber="effects.moody").count() == 5, within=60)
    manage.kill(worker)
    ring(1, start=6)
    rabbit.publish()
    assert looks(4, reconciler=reconciler) == {}, "one of higher priority may overtake"
    manage.worker()
    eventually(lambda: Delivery.objects.count() == 7 * ABOUT_BELLS - 1, within=60)  # no other is still in hand
    assert looks(2) == {"effects.moody": 1}
    eventually(lambda: all_done(7), within=60)
    assert_one_effect_each(7)


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_waiting_events_are_not_taken_for_lost_because_one_of_higher_priority_was_done(
    rabbit: Rabbit, manage: Manage
) -> None:
    ring(10)
    first = ring(1, start=10, priority=5)
    rabbit.publish()
    for name in SUBSCRIBERS[:3]:
        Delivery.objects.create(event_id=first[0], subscriber=f"effects.{name}", state="done")
    assert looks(4) == {}
    assert not Straggler.objects.exists()


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_a_retry_lost_in_the_broker_is_healed(rabbit: Rabbit, manage: Manage, eventually: Eventually) -> None:
    ring(1, mood="twice")
    rabbit.publish()
    worker = manage.worker()
    eventually(lambda: Delivery.objects.filter(state="retrying").exists(), within=60)
    manage.kill(worker)
    OutboxMessage.objects.update(due=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    rabbit.publish()
    rabbit.channel.queue_purge(subscriptions["effects.moody"].queue)
    attempts = Delivery.objects.get(state="retrying").attempts
    assert looks() == {"effects.moody": 1}
    assert OutboxMessage.objects.get().attempt == attempts + 1
    manage.worker()
    eventually(lambda: all_done(1), within=60)
    assert Effect.objects.filter(subscriber="moody").count() == 1


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_a_slow_worker_gets_one_copy_at_most_and_no_avalanche(rabbit: Rabbit) -> None:
    ring(10)
    rabbit.publish()
    name = "effects.moody"
    assert rabbit.hold(name) == 10
    reconciler = Reconciler(dramatiq.get_broker(), patience=NONE)
    assert looks(3, reconciler=reconciler) == {name: 10}, "nothing waits, and AMQP does not tell what is held"
    rabbit.publish()
    assert rabbit.waiting(name) == 10
    for _ in range(3):
        age(hours=1)
        assert looks(3, reconciler=reconciler) == {}, "the copies wait"
    assert rabbit.hold(name) == 10
    Straggler.objects.update(owed_at=dt.datetime.now(dt.UTC))
    assert looks(3, reconciler=reconciler) == {}, "the pause is not over"
    assert set(Straggler.objects.values_list("healed", flat=True)) == {1}


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_the_relay_heals_by_itself_and_outlives_a_missing_broker(
    rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    class Soon(Reconciler):
        def __init__(self, broker: Any) -> None:
            super().__init__(broker, patience=NONE)

    monkeypatch.setattr(events.worker.services, "Reconciler", Soon)
    monkeypatch.setattr(events.worker.services, "RECONCILE_INTERVAL", 0.1)
    ring(3)
    rabbit.publish()
    remove_queues()
    relay = WorkerServices(dramatiq.get_broker())
    relay.start()
    try:
        eventually(lambda: Straggler.objects.filter(healed=1).count() == 3 * ABOUT_BELLS, within=30)
        eventually(lambda: rabbit.waiting("effects.moody") == 3, within=30)
    finally:
        relay.stop()
