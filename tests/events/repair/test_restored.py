"""Restored: an older dump under a broker that has seen more. No number is given twice, every effect happens once."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator

import pika
import pytest
from django.core.management import CommandError
from django.db import connection, transaction
from django.db.models.functions import Now

from events.brokers.embedded import EmbeddedBroker
from events.brokers.rabbitmq import RabbitmqBroker
from events.bus import emit, subscriber
from events.models import Delivery, OutboxMessage, Process, StoredEvent
from events.outbox.log import only_for
from events.repair.announce import announce
from events.repair.reconcile import Reconciler
from events.repair.restored import RestoreRefusedError, restored
from events.subscription import subscriptions
from events.worker.actors import declare_actor
from notifications.models import Stream
from tests.effects.events import Said, Walked
from tests.events.repair.test_sweep import broker, count, publish, say  # noqa: F401 - a fixture
from tests.support.broker_case import working
from tests.support.command_output import command_output
from tests.support.effects import ring
from tests.support.factories import UserFactory
from tests.support.own_subscribers import own_subscribers

heard: dict[str, list[int]] = defaultdict(list)


@pytest.mark.django_db
def test_no_number_is_given_twice_and_streams_begin_a_new_epoch() -> None:
    stream, _ = Stream.objects.get_or_create(user=UserFactory())
    ring(3)
    newest = StoredEvent.objects.newest()
    found = restored(EmbeddedBroker(), sequence=newest + 50, jump=1_000)
    assert found.sentences == ["Streams of notices that begin a new epoch: 1"]
    ring(1)
    assert newest + 1_050 < StoredEvent.objects.newest() < newest + 1_100
    assert Stream.objects.get(pk=stream.pk).epoch != stream.epoch
    before = StoredEvent.objects.newest()
    restored(EmbeddedBroker())
    ring(1)
    assert StoredEvent.objects.newest() > before


@pytest.mark.django_db
def test_it_is_refused_while_a_process_lives() -> None:
    Process.objects.create(kind="worker", host="here", pid=1)
    with pytest.raises(CommandError, match="worker on here, process 1"):
        command_output("restored", "--yes")


@pytest.fixture
def names(broker: RabbitmqBroker) -> Iterator[list[str]]:  # noqa: F811
    """Two subscribers, announced; nobody works for them yet."""
    heard.clear()
    with own_subscribers():
        subscriptions.clear()
        names = [f"effects.{one}_{uuid.uuid4().hex[:8]}" for one in ("first", "second")]
        for name in names:
            subscriber(Said, Walked, name=name)(lambda event, name=name: heard[name].append(event.number))
            declare_actor(broker, subscriptions[name])
        announce()
        yield names


def restore(*, newest: int) -> None:
    """As if a dump were restored that was made after the event of this number."""
    later = StoredEvent.objects.filter(sequence__gt=newest)
    OutboxMessage.objects.filter(event__in=later).delete()
    later.delete()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence(%s, 'sequence'), %s)", [StoredEvent._meta.db_table, newest]
        )


@pytest.mark.rabbitmq
@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_what_the_queues_hold_is_learnt_and_done_once_by_everybody(
    broker: RabbitmqBroker,  # noqa: F811
    names: list[str],
    eventually: Callable[..., None],
) -> None:
    first, second = (subscriptions[name].queue for name in names)
    say(1)
    dumped = StoredEvent.objects.newest()
    say(2, 3)
    with transaction.atomic():
        chunk = emit(Walked(number=4, steps=1))  # as continue_with owes it
        StoredEvent.objects.filter(event_id=chunk).update(suppressed=only_for(names[0]))
        OutboxMessage.objects.filter(event=chunk).update(subscriber=names[0], due=Now())
    publish(broker)
    eventually(lambda: (count(first), count(second)) == (4, 3))
    with pika.BlockingConnection(broker.parameters) as asking:  # the second one has had them
        asking.channel().queue_purge(second)
    highest = StoredEvent.objects.newest()
    restore(newest=dumped)
    say(6)  # too early: it takes a number that was given before

    said = command_output("restored", "--jump", "1000", "--yes")
    assert f"Last event of the dump: number {dumped + 1:,}" in said
    assert f"Messages in the queues: 4, the highest number is {highest:,}" in said
    assert "the log has now: 3" in said
    assert "1 of them under a new number" in said
    assert "What cannot be known" in said
    say(5)
    assert StoredEvent.objects.newest() > highest + 1_000

    reconciler = Reconciler(broker, patience=dt.timedelta(0))
    with working(broker):

        def is_done() -> bool:
            reconciler.run_pass()
            publish(broker)
            return Delivery.objects.filter(state="done").count() >= 11 and not OutboxMessage.objects.exists()

        eventually(is_done, within=30)
    assert sorted(heard[names[0]]) == [1, 2, 3, 4, 5, 6]
    assert sorted(heard[names[1]]) == [1, 2, 3, 5, 6], "and not the chunk of the first one"


@pytest.mark.rabbitmq
@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_it_is_refused_while_somebody_consumes(
    broker: RabbitmqBroker,  # noqa: F811
    names: list[str],
    eventually: Callable[..., None],
) -> None:
    say(1)
    publish(broker)
    with working(broker):
        eventually(lambda: heard[names[0]] == [1], within=20)
        with pytest.raises(RestoreRefusedError, match="consume"):
            restored(broker)
