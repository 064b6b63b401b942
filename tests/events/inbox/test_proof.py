"""Proof: what we publish is signed; who cannot sign can only speak as another publisher."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.db import transaction

from events.brokers.contract import Answers, Outgoing
from events.brokers.publish_outbox import PublishingCourier
from events.bus import emit
from events.envelope import Envelope, foreign_id
from events.inbox.delivery import DeliveryFailedError, process
from events.inbox.message import KEPT_BYTES, ReceivedMessage
from events.inbox.retry import record_failures
from events.models import Attempt, DeadLetter, Delivery, OutboxMessage, StoredEvent
from events.repair.replay import events_for, replay
from events.signature import HEADER
from events.subscription import subscriptions
from events.testing import deliver
from tests.effects.events import Rang
from tests.effects.models import Effect

pytestmark = pytest.mark.django_db

ALONE = subscriptions["effects.alone"]


class Recorder:
    """A broker's publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.published: list[Outgoing] = []

    def publish(self, messages: Any, *, meanwhile: Any) -> Answers:
        self.published += messages
        return Answers(confirmed={message.message_id for message in messages})

    def keep_alive(self) -> None: ...

    def close(self) -> None: ...


def relayed() -> list[Outgoing]:
    """What the relay publishes of the outbox."""
    recorder = Recorder()
    courier = PublishingCourier(recorder)
    while courier.carry():
        pass
    return recorder.published


def received(message: Outgoing, **changes: Any) -> ReceivedMessage:
    """The message as the consumer of the subscriber `alone` gets it, with changes on the way."""
    how: dict[str, Any] = {
        "body": message.body,
        "headers": message.headers,
        "routing_key": message.queue or message.topic,
        "queue": ALONE.queue,
        "priority": message.priority,
    }
    return ReceivedMessage.decode(**how | changes)


def run(*messages: ReceivedMessage) -> None:
    try:
        process(ALONE, messages)
    except DeliveryFailedError as failed:
        record_failures(failed)


def effects() -> list[tuple[int, int]]:
    return list(Effect.objects.filter(subscriber="alone").order_by("id").values_list("number", "attempt"))


def ring(**options: Any) -> Outgoing:
    with transaction.atomic():
        emit(Rang(number=7), **options)
    (message,) = relayed()
    return message


def refused() -> list[str]:
    """The reasons of the dead letters that are not signed."""
    return list(DeadLetter.objects.filter(state="dead", reason__contains="not signed").values_list("reason", flat=True))


def test_what_the_relay_publishes_is_signed_and_taken() -> None:
    message = ring(priority=4)
    assert message.headers is not None
    assert message.headers[HEADER].startswith("v1:")
    run(received(message))
    assert effects() == [(7, 1)]
    assert not refused()


def test_a_message_that_was_changed_on_its_way_is_refused_and_the_true_one_still_arrives() -> None:
    message = ring()
    headers = message.headers or {}
    forged = message.body.replace(b'"number":7', b'"number":8')
    changes: dict[str, dict[str, Any]] = {
        "another payload under its id": {"body": forged},
        "another payload, and no signature": {"body": forged, "headers": {}},
        "the next run": {"headers": headers | {"run": 1}},
        "the next run, and no signature": {"headers": {"run": 1}},
        "a late attempt": {"headers": headers | {"attempt": 32_000}},
        "a higher priority": {"priority": 9},
        "sent to one queue": {"routing_key": ALONE.queue},
        "another key": {"headers": headers | {HEADER: "v1:00000000:" + "A" * 43 + "="}},
        "no text": {"headers": headers | {HEADER: 7}},
    }
    for name, change in changes.items():
        run(received(message, **change))
        assert not effects(), name
    assert len(refused()) == 2  # the same bytes are the same dead letter
    run(received(message))
    assert effects() == [(7, 1)]
    key = uuid.UUID(json.loads(message.body)["id"])
    assert list(Delivery.objects.filter(event_id=key).values_list("state", "run")) == [("done", 0)]


def test_what_was_signed_for_one_subscriber_is_refused_at_another() -> None:
    with transaction.atomic():
        emit(Rang(number=7))
    deliver()
    replay("effects.alone", events_for("effects.alone"))
    OutboxMessage.objects.all().delete()
    event = StoredEvent.objects.get()
    OutboxMessage.objects.create(event=event, subscriber="effects.moody", run=1)
    OutboxMessage.objects.update(due=event.time)
    (message,) = relayed()
    before = effects()
    for route in (message.queue, ALONE.queue, "bell.rang"):  # through the topic exchange, or straight into the queue
        run(received(message, routing_key=route))
    assert effects() == before
    assert refused()


def test_a_replay_and_a_retry_of_ours_have_the_run_and_attempt_that_were_signed() -> None:
    event = ring()
    run(received(event))
    OutboxMessage.objects.create(
        event=StoredEvent.objects.get(),
        subscriber="effects.alone",
        run=1,
        attempt=3,
        due=StoredEvent.objects.get().time,
    )
    (message,) = relayed()
    run(received(message))
    assert set(Delivery.objects.values_list("state", "run", "attempts")) == {("done", 0, 1), ("done", 1, 3)}


def test_what_the_previous_release_published_is_taken_if_the_log_has_it() -> None:
    message = ring()
    run(received(message, headers={"run": 0, "attempt": 1}))
    assert effects() == [(7, 1)]
    run(received(message, headers=None))
    assert effects() == [(7, 1)]
    for made_up in (1, 2, 3):
        run(received(message, headers={"run": made_up, "attempt": 1}))
    assert effects() == [(7, 1)]
    Delivery.objects.create(event_id=json.loads(message.body)["id"], subscriber=ALONE.name, run=1, state="retrying")
    run(received(message, headers={"run": 1, "attempt": 2}))
    assert [number for number, _ in effects()] == [7, 7]
    assert Delivery.objects.get(run=1, state="done").attempts == 2


def test_an_unsigned_copy_cannot_spend_the_attempts_of_the_true_one() -> None:
    with transaction.atomic():
        emit(Rang(number=7, mood="poison"))
    (message,) = relayed()
    moody = subscriptions["effects.moody"]
    with pytest.raises(DeliveryFailedError) as failed:
        process(moody, [received(message, headers={"run": 0, "attempt": 30_000})])
    record_failures(failed.value)
    assert Delivery.objects.get().state == "retrying"


def foreign(given_id: str = "order-7", source: str = "/shop", **data: Any) -> bytes:
    return json.dumps(
        {"id": given_id, "source": source, "type": "bell.rang", "data": {"number": 7, "mood": "calm"} | data}
    ).encode()


def test_another_publisher_speaks_as_itself_under_ids_of_its_own() -> None:
    for body in (foreign(), foreign(), foreign("order-8"), foreign(source="/shop/2")):
        run(ReceivedMessage.decode(body, headers={"run": 3, "attempt": 30_000}, routing_key="bell.rang", priority=9))
    assert effects() == [(7, 1)] * 3  # the same id and source: the same event
    assert set(Delivery.objects.values_list("event_id", "run", "attempts")) == {
        (foreign_id("/shop", "order-7"), 0, 1),
        (foreign_id("/shop", "order-8"), 0, 1),
        (foreign_id("/shop/2", "order-7"), 0, 1),
    }


def test_another_publisher_that_takes_an_id_of_ours_suppresses_nothing() -> None:
    message = ring()
    ours = json.loads(message.body)["id"]
    run(ReceivedMessage.decode(foreign(ours, number=666)))
    run(received(message))
    assert [number for number, _ in effects()] == [666, 7]
    assert Delivery.objects.get(event_id=ours).state == "done"


def test_an_event_of_another_publisher_is_retried_by_our_relay() -> None:
    moody = subscriptions["effects.moody"]
    message = ReceivedMessage.decode(foreign(mood="twice"))
    for attempt in (1, 2, 3):
        if attempt < 3:
            with pytest.raises(DeliveryFailedError) as failed:
                process(moody, [message])
            record_failures(failed.value)
            OutboxMessage.objects.update(due=StoredEvent.objects.get().time)
            (sent,) = relayed()
            assert (sent.headers or {})["attempt"] == attempt + 1
            message = received(sent, queue=moody.queue)
            assert message.claim is None
        else:
            process(moody, [message])
    assert Delivery.objects.get().state == "done"
    assert Delivery.objects.get().event_id == foreign_id("/shop", "order-7")
    assert (StoredEvent.objects.get().source, Attempt.objects.count()) == ("/shop", 2)


def test_what_the_previous_release_did_for_another_publisher_is_not_done_again() -> None:
    theirs = str(uuid.uuid4())
    Delivery.objects.create(event_id=theirs, subscriber=ALONE.name, state="done")
    run(ReceivedMessage.decode(foreign(theirs)))
    assert not effects()


def test_a_large_message_of_another_publisher_is_a_dead_letter_that_keeps_its_beginning() -> None:
    large = foreign(mood="x" * 3_000_000)
    hidden = large.replace(b'{"id"', b'{"theirs":{"source":"/airy"},"id"')
    for body in (large, large, b"{" * 3_000_000, hidden):
        run(ReceivedMessage.decode(body))
    dead = DeadLetter.objects.order_by("id")
    assert len(dead) == 3
    for letter in dead:
        assert "too large: 3," in letter.reason
        assert f"the first {KEPT_BYTES:,} of 3," in letter.reason
        assert len(bytes(letter.body)) == KEPT_BYTES
    assert not effects()
    run(ReceivedMessage.decode(foreign(mood="x" * 900_000)))
    assert effects() == [(7, 1)]


def test_an_event_of_ours_may_be_larger(settings: Any) -> None:
    settings.EVENTS_MAX_FOREIGN_BYTES = 100
    message = ring()
    for headers in (message.headers, {}):
        run(received(message, headers=headers))
    assert effects() == [(7, 1)]
    assert not DeadLetter.objects.filter(state="dead").exists()


def test_times_of_cloudevents_are_read_in_every_spelling() -> None:
    def read(time: str) -> str:
        wire = {"id": "1", "source": "/x", "type": "bell.rang", "time": time, "data": {}}
        return Envelope.decode(json.dumps(wire).encode()).time.isoformat()

    assert {time: read(time) for time in SPELLINGS} == SPELLINGS


SPELLINGS = {
    "2026-11-26t23:30:00z": "2026-11-26T23:30:00+00:00",
    "2026-11-26T23:30:00.5Z": "2026-11-26T23:30:00.500000+00:00",
    "2016-12-31T23:59:60Z": "2017-01-01T00:00:00+00:00",
    "2016-12-31t23:59:60.250z": "2017-01-01T00:00:00.250000+00:00",
    "2017-01-01T00:59:60+01:00": "2017-01-01T00:00:00+00:00",
    "2026-11-26T23:30:00.1234567+02:00": "2026-11-26T21:30:00.123456+00:00",
}
