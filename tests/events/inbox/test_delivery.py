"""Delivery: exactly one effect, retries, dead letters, groups."""

import asyncio
import datetime as dt
import json
import logging
import uuid
from collections import Counter

import pytest
from django.db import transaction

from events.bus import Event, RetryAfter, emit, subscriber
from events.envelope import Envelope, UndecodableError
from events.inbox.delivery import DeliveryFailedError, process
from events.inbox.message import ReceivedMessage
from events.inbox.retry import record_failures
from events.models import Attempt, DeadLetter, Delivery, OutboxMessage, StoredEvent
from events.repair.dead_letters import requeue
from events.subscription import subscriptions
from events.testing import deliver, emitted
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.effects.subscribers import FAILURES
from tests.support.effects import ring_moods
from tests.support.logs import captured_logs
from tests.support.own_subscribers import own_subscribers

pytestmark = pytest.mark.django_db

#: A message of another publisher, but for the rest of its attributes.
FOREIGN = b'{"id":"01a209ff-c11a-769e-83f3-dc498197041b","source":"/x","type":"bell.rang",%s}'


def effects(subscriber_name: str) -> list[int]:
    return sorted(Effect.objects.filter(subscriber=subscriber_name).values_list("number", flat=True))


def arrival(number: int = 1, mood: str = "calm", **attributes: object) -> ReceivedMessage:
    """What another publisher in another language would send."""
    body = json.dumps(
        {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": "/elsewhere",
            "type": "bell.rang",
            "data": {"number": number, "mood": mood},
        }
    )
    return ReceivedMessage.decode(body.encode(), **attributes)


def fail(name: str, *arrivals: ReceivedMessage) -> None:
    with pytest.raises(DeliveryFailedError) as failed:
        process(subscriptions[name], arrivals)
    record_failures(failed.value)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_every_subscriber_has_one_effect_per_event_however_often_it_is_delivered(times: int) -> None:
    ring_moods(*["calm"] * 120)
    assert deliver(times=times) == 120 * 4
    for name in ("moody", "in_batches", "alone", "with_await"):
        assert effects(name) == list(range(120)), name
    assert Delivery.objects.filter(state="done").count() == 480
    assert not Attempt.objects.exists()


def test_a_failing_run_leaves_no_effect_and_is_tried_again() -> None:
    ring_moods("twice")
    deliver()
    assert list(Effect.objects.filter(subscriber="moody").values_list("number", "attempt")) == [(0, 3)]
    delivery = Delivery.objects.get(subscriber="effects.moody")
    assert (delivery.state, delivery.attempts) == ("done", 3)
    assert list(delivery.failures.values_list("number", "error")) == [
        (1, "ValueError: not yet"),
        (2, "ValueError: not yet"),
    ]


def test_spent_retries_make_a_dead_letter_with_reason_bytes_and_tracebacks() -> None:
    (event_id,) = ring_moods("poison")
    deliver()
    dead = DeadLetter.objects.get(subscriber="effects.moody")
    assert (dead.event_id, dead.state, dead.attempts, dead.reason) == (event_id, "dead", 3, "ValueError: poison")
    assert json.loads(bytes(dead.body))["data"] == {"number": 0, "mood": "poison"}
    assert [failure.number for failure in dead.failures.order_by("number")] == [1, 2, 3]
    assert "raise FAILURES[event.mood]" in dead.failures.last().traceback
    assert effects("moody") == []


def test_a_permanent_failure_is_not_tried_again() -> None:
    ring_moods("hopeless")
    deliver()
    assert DeadLetter.objects.filter(state="dead", subscriber="effects.moody").get().attempts == 1


def test_retry_after_sets_the_time_and_counts() -> None:
    ring_moods("later")
    deliver()
    assert Delivery.objects.get(subscriber="effects.moody").attempts == 3


def test_one_poison_subscriber_leaves_the_effects_of_the_others() -> None:
    ring_moods("poison")
    deliver()
    assert effects("alone") == [0]
    assert effects("with_await") == [0]


def test_one_poison_event_leaves_its_neighbours_in_group_and_batch() -> None:
    ring_moods(*["calm"] * 20, "poison", *["calm"] * 20)
    deliver()
    innocents = [number for number in range(41) if number != 20]
    assert effects("moody") == innocents
    assert effects("in_batches") == innocents
    assert set(Delivery.objects.filter(state="dead").values_list("subscriber", flat=True)) == {
        "effects.moody",
        "effects.in_batches",
    }


def test_undecodable_bytes_are_kept_under_an_id_that_follows_from_them() -> None:
    fail("effects.moody", ReceivedMessage.decode(b"\xff not json"), ReceivedMessage.decode(b"{}"))
    process(subscriptions["effects.moody"], [ReceivedMessage.decode(b"\xff not json")])
    dead = Delivery.objects.filter(state="dead").order_by("id")
    assert {bytes(one.body) for one in dead} == {b"\xff not json", b"{}"}
    assert all("not a CloudEvent" in one.reason for one in dead)


@pytest.mark.parametrize(
    "broken",
    [
        b'{"id":"01a209ff-c11a-769e-83f3-dc498197041b","source":"/x","type":"bell.rang","data":{"mood":"\\u0000"}}',
        b'{"id":"01a209ff-c11a-769e-83f3-dc498197041b","source":"/x","type":"' + b"long." * 40 + b'","data":{}}',
        b'{"id":"","source":"/x","type":"bell.rang","data":{"number":1}}',
        b'{"id":"01a209ff-c11a-769e-83f3-dc498197041b","source":"/x","type":"bell.rang","data":[1]}',
        FOREIGN % b'"data":{"number":NaN}',
        FOREIGN % b'"data":{"number":[{"deep":-1e400}]}',
        FOREIGN % b'"time":"9999-12-31T23:59:59-14:00","data":{}',
        FOREIGN % b'"time":"0001-01-01T00:00:00+14:00","data":{}',
        FOREIGN % b'"dataschema":"/schemas/bell.rang/40000","data":{}',
        FOREIGN % b'"dataschema":"/schemas/bell.rang/0","data":{}',
        b"[]",
        b"",
    ],
)
def test_what_the_log_could_not_keep_is_a_dead_letter_at_once(broken: bytes) -> None:
    fail("effects.moody", ReceivedMessage.decode(broken))
    assert bytes(DeadLetter.objects.get().body) == broken


def test_of_another_publisher_only_id_source_type_and_data_are_asked() -> None:
    least = {"id": str(uuid.uuid4()), "source": "/x", "type": "bell.rang", "data": {"number": 1, "mood": "calm"}}
    blank = dict.fromkeys(("subject", "time", "dataschema", "correlationid", "causationid", "traceparent"))
    for wire in (least, least | blank | {"specversion": "1.0", "theirs": [None]}):
        envelope = Envelope.decode(json.dumps(wire).encode())
        assert (envelope.id, envelope.correlation_id) == (uuid.UUID(least["id"]),) * 2
        assert (envelope.version, envelope.subject, envelope.traceparent) == (1, "", "")
        assert (envelope.causation_id, envelope.sequence) == (None, None)
        assert envelope.time.tzinfo
    for name in least:
        with pytest.raises(UndecodableError, match=name):
            Envelope.decode(json.dumps({key: value for key, value in least.items() if key != name}).encode())


def test_what_travels_comes_back_as_it_was() -> None:
    ring_moods("calm")
    sent = StoredEvent.objects.get().envelope()
    assert Envelope.decode(sent.encode()) == sent


def test_a_payload_that_does_not_fit_its_class_is_a_dead_letter() -> None:
    fail("effects.moody", arrival(number="many"))
    dead = DeadLetter.objects.get()
    assert dead.state == "dead"
    assert "number" in dead.reason


def test_a_newer_writer_may_add_fields() -> None:
    newer = arrival()
    newer.envelope.data["volume"] = 11
    process(subscriptions["effects.moody"], [newer])
    assert effects("moody") == [1]


def test_a_failed_event_of_another_publisher_is_taken_into_the_log_and_retried() -> None:
    foreign = arrival(mood="twice")
    fail("effects.moody", foreign)
    assert StoredEvent.objects.get().source == "/elsewhere"
    assert OutboxMessage.objects.get().attempt == 2
    deliver()
    assert effects("moody") == [1]


def test_a_batch_holding_one_event_twice_has_one_effect() -> None:
    twice = arrival()
    process(subscriptions["effects.in_batches"], [twice, twice])
    assert effects("in_batches") == [1]


class Echoed(Event, topic="bell.echoed_once", version=1):
    """Emitted by a subscriber, to see what it inherits."""

    number: int


def test_what_a_subscriber_emits_inherits_correlation_and_names_its_cause() -> None:
    with own_subscribers():

        @subscriber(Rang)
        def echo(event: Rang) -> None:
            emit(Echoed(number=event.number))

        (event_id,) = ring_moods("calm")
        deliver()
    assert emitted(Echoed) == [Echoed(number=0)]
    stored = StoredEvent.objects.get(topic="bell.echoed_once")
    assert (stored.causation_id, stored.correlation_id) == (event_id, event_id)


def test_text_that_spells_a_nul_character_is_no_nul_character() -> None:
    process(subscriptions["effects.moody"], [arrival(mood=r"calm \u0000")])
    assert effects("moody") == [1]


@pytest.mark.parametrize("outcome", [SystemExit(3), asyncio.CancelledError()])
def test_not_even_what_ends_a_program_escapes_a_subscriber(
    monkeypatch: pytest.MonkeyPatch, outcome: BaseException
) -> None:
    monkeypatch.setitem(FAILURES, "leaving", outcome)
    ring_moods("calm", "leaving", "calm")
    deliver()
    assert effects("moody") == [0, 2]
    assert DeadLetter.objects.filter(state="dead", subscriber="effects.moody").count() == 1


def test_a_dead_letter_of_another_publisher_can_be_requeued() -> None:
    foreign = arrival(mood="hopeless")
    fail("effects.moody", foreign)
    StoredEvent.objects.filter(event_id=foreign.event_id).update(data={"number": 1, "mood": "calm"})
    assert requeue(Delivery.objects.all()) == (1, 0)
    deliver()
    assert effects("moody") == [1]


def test_a_time_of_another_publisher_is_kept_in_utc() -> None:
    read = ReceivedMessage.decode(FOREIGN % b'"time":"2026-11-26T23:30:00+02:00","data":{"number":1,"mood":"poison"}')
    fail("effects.moody", read)
    assert StoredEvent.objects.get().time.isoformat() == "2026-11-26T21:30:00+00:00"
    assert read.envelope is not None
    assert read.envelope.time.utcoffset() == dt.timedelta(0)


def test_what_is_requeued_has_its_events_priority() -> None:
    with transaction.atomic():
        emit(Rang(number=1, mood="hopeless"), priority=9)
    deliver()
    requeue(Delivery.objects.filter(state="dead", subscriber="effects.moody"))
    assert OutboxMessage.objects.get().priority == 9


def test_a_retry_keeps_its_events_priority() -> None:
    fail("effects.moody", arrival(mood="poison", priority=7))
    assert OutboxMessage.objects.get().priority == 7


@pytest.mark.django_db(transaction=True)
def test_a_failing_callback_after_commit_takes_no_other_along() -> None:
    called: list[int] = []

    def call(number: int) -> None:
        if number == 0:
            raise OSError("the mail server is away")
        called.append(number)

    with own_subscribers():

        @subscriber(Rang)
        def mail(event: Rang) -> None:
            transaction.on_commit(lambda: call(event.number))

        ring_moods(*["calm"] * 10)
        deliver()
    assert sorted(called) == list(range(1, 10))


def test_the_callbacks_of_a_run_that_failed_do_not_run() -> None:
    called: list[int] = []
    with own_subscribers():

        @subscriber(Rang, max_retries=0)
        def telegraph(event: Rang) -> None:
            transaction.on_commit(lambda: called.append(event.number))
            if event.mood == "poison":
                raise ValueError("poison")

        ring_moods("calm", "poison", "calm")
        deliver()
    assert sorted(called) == [0, 2]


def test_retry_after_takes_a_time_and_nothing_else() -> None:
    assert RetryAfter(dt.timedelta(minutes=5)).seconds == 300
    for nonsense in ("soon", float("inf"), -1):
        with pytest.raises(ValueError, match="seconds or a timedelta"):
            RetryAfter(nonsense)


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_each_delivery_is_logged_with_event_subscriber_attempt_and_duration(level: int) -> None:
    ids = ring_moods("calm", "calm", "twice")
    with captured_logs(level=level) as lines:
        deliver()
    told = [line for line in lines if line["event"] == "delivered" and line["subscriber"] == "effects.moody"]
    if level > logging.INFO:
        assert told == []
        return
    named = [(line.get("events") or [line["event_id"]], line["attempt"]) for line in told]
    assert Counter(event for events, _ in named for event in events) == Counter(map(str, ids))
    assert {attempt for events, attempt in named if str(ids[2]) in events} == {3}
    assert all(line["seconds"] >= 0 for line in told)
