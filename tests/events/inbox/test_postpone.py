"""Postpone: an event of a version that this code does not know waits for code that does."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import transaction

from events.bus import Event, emit, emit_many
from events.event import catalogue
from events.inbox.delivery import DeliveryFailedError, process
from events.inbox.message import ReceivedMessage
from events.inbox.retry import record_failures
from events.models import Attempt, DeadLetter, Delivery, OutboxMessage, StoredEvent
from events.repair.dead_letters import dead_letters, requeue
from events.subscription import subscriptions
from events.testing import deliver
from tests.effects.events import Rang
from tests.effects.models import Effect

pytestmark = pytest.mark.django_db


class Rang2(Event, topic="bell.rang", version=2, subject="bell/{number}"):
    """The next version of the event, as newer code declares it: `mood` is a list there."""

    number: int
    mood: tuple[str, ...] = ()


newer = catalogue["bell.rang"].pop(2)


@contextmanager
def newer_code() -> Iterator[None]:
    catalogue["bell.rang"][2] = newer
    try:
        yield
    finally:
        del catalogue["bell.rang"][2]


def ring(*events: Event) -> None:
    with newer_code(), transaction.atomic():
        emit_many(events)


def now_due() -> None:
    """The pause is over."""
    assert not OutboxMessage.objects.exclude(subscriber="").filter(due=None).exists()
    OutboxMessage.objects.update(due=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1))


def test_a_newer_version_waits_for_newer_code_and_costs_no_attempt() -> None:
    ring(Rang2(number=7))
    deliver()
    waiting = OutboxMessage.objects.filter(subscriber="effects.alone").get()
    assert (waiting.attempt, waiting.run) == (1, 0)
    assert 0 < (waiting.due - dt.datetime.now(dt.UTC)).total_seconds() < 31
    assert not DeadLetter.objects.filter(state="dead").exists()
    for _ in range(10):  # more often than the subscriber has attempts
        now_due()
        deliver()
    assert not Effect.objects.exists()
    assert not Attempt.objects.exists()
    now_due()
    with newer_code():
        deliver()
    assert list(Effect.objects.filter(subscriber="alone").values_list("number", flat=True)) == [7]
    assert set(Delivery.objects.values_list("state", "attempts")) == {("done", 1)}
    assert not OutboxMessage.objects.exists()


def test_after_an_hour_it_is_a_dead_letter_with_the_reason_and_a_requeue_waits_anew() -> None:
    ring(Rang2(number=7))
    deliver()
    Delivery.objects.update(at=dt.datetime.now(dt.UTC) - dt.timedelta(hours=1))
    now_due()
    deliver()
    assert not OutboxMessage.objects.exists()
    dead = DeadLetter.objects.get(subscriber="effects.alone", state="dead")
    assert "bell.rang has version 2; the newest that this code knows is 1: deploy" in dead.reason
    assert json.loads(bytes(dead.body))["data"] == {"number": 7, "mood": []}
    Delivery.objects.update(at=dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
    requeue(dead_letters())
    now_due()
    deliver()
    assert Delivery.objects.filter(state="dead").count() == 0
    now_due()
    with newer_code():
        deliver()
    assert Effect.objects.filter(subscriber="alone").count() == 1


def test_in_a_group_and_a_batch_only_that_event_waits() -> None:
    ring(Rang(number=1), Rang2(number=2), Rang(number=3))
    deliver()
    for name in ("moody", "in_batches"):
        assert sorted(Effect.objects.filter(subscriber=name).values_list("number", flat=True)) == [1, 3]
    assert set(OutboxMessage.objects.values_list("event__version", flat=True)) == {2}


def test_a_copy_that_the_broker_redelivers_is_not_lost() -> None:
    ring(Rang2(number=7))
    message = ReceivedMessage(envelope=StoredEvent.objects.get().envelope(), body=b"", redelivered=True)
    OutboxMessage.objects.all().delete()
    for _ in range(9):
        with pytest.raises(DeliveryFailedError) as failed:
            process(subscriptions["effects.alone"], [message])
        record_failures(failed.value)
        assert OutboxMessage.objects.get().attempt == 1
        OutboxMessage.objects.all().delete()
    with newer_code():
        process(subscriptions["effects.alone"], [message])
    assert Delivery.objects.get().state == "done"


def test_an_older_version_without_a_class_is_read_by_the_newest() -> None:
    ring(Rang(number=1))
    with newer_code():
        old = catalogue["bell.rang"].pop(1)
        try:
            StoredEvent.objects.update(data={"number": 1})
            deliver()
        finally:
            catalogue["bell.rang"] = {1: old, 2: newer}
    assert Effect.objects.filter(subscriber="alone").count() == 1


def test_a_topic_of_ours_that_is_unknown_here_waits_and_that_of_another_publisher_does_not() -> None:
    class Tolled(Event, topic="bell.tolled"):
        """Declared by newer code alone."""

        number: int

    with transaction.atomic():
        emit(Tolled(number=1))
    del catalogue["bell.tolled"]
    deliver()
    assert OutboxMessage.objects.get().subscriber == "effects.in_batches"
    foreign = {"id": str(uuid.uuid4()), "source": "/x", "type": "bell.tolled", "data": {"number": 1}}
    with pytest.raises(DeliveryFailedError) as failed:
        process(subscriptions["effects.in_batches"], [ReceivedMessage.decode(json.dumps(foreign).encode())])
    record_failures(failed.value)
    assert "no event class is declared" in DeadLetter.objects.get(state="dead").reason
