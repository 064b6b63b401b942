"""Redact: what an event says is erased wherever the database keeps it, and nothing else."""

import uuid
from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
from django.db import transaction

from events.bus import EmitOutsideTransactionError, Event, emit, redact, redact_errors, subscriber
from events.envelope import Envelope
from events.inbox.delivery import DeliveryFailedError, process
from events.inbox.retry import record_failures
from events.models import Attempt, AttemptSubject, Delivery, OutboxMessage, StaleEvent, StoredEvent
from events.repair.dead_letters import dead_letters, requeue
from events.repair.replay import events_for, replay
from events.repair.sweep import sweep
from events.subscription import subscriptions
from events.testing import deliver, run, take
from tests.effects.events import Said
from tests.support.own_subscribers import own_subscribers
from tests.support.planted import found_in_database

pytestmark = pytest.mark.django_db

SECRET = "planted-secret-7351"


class Heard:
    """What each subscriber heard, by the first word of its name; no two tests have the same names."""

    def __init__(self) -> None:
        self.plain: list[str] = []
        self.failing: list[str] = []
        self.takes: list[str] = []
        self._suffix = uuid.uuid4().hex[:8]

    def name(self, first: str) -> str:
        return f"effects.{first}_{self._suffix}"


@pytest.fixture
def heard() -> Iterator[Heard]:
    """What three new subscribers heard: one fails with what it heard, one takes redacted events."""
    heard = Heard()
    with own_subscribers():

        @subscriber(Said, name=heard.name("plain"), replayable=True)
        def plain(event: Said) -> None:
            heard.plain.append(event.text)

        @subscriber(Said, name=heard.name("failing"), max_retries=0)
        def failing(event: Said) -> None:
            heard.failing.append(event.text)
            raise ValueError(f"cannot bear {event.text} by {event.by}")

        @subscriber(Said, name=heard.name("takes"), replayable=True, takes_redacted=True)
        def takes(event: Said) -> None:
            heard.takes.append(event.text)

        yield heard


def say(number: int = 1) -> uuid.UUID:
    with transaction.atomic():
        return emit(Said(number=number, text=f"{SECRET} {number}", by=SECRET))


def erase(*subjects: str, **options: Any) -> int:
    with transaction.atomic():
        return redact(*subjects, **options)


def test_nothing_of_it_is_left_in_any_column_and_its_neighbour_is_left_alone(heard: Heard) -> None:
    say(1)
    say(2)
    deliver()
    assert {place for place, _ in found_in_database(f"{SECRET} 1")} == {
        "events_storedevent.data",
        "events_delivery.body",
        "events_delivery.reason",
        "events_attempt.error",
        "events_attempt.traceback",
    }
    assert erase("word/1") == 1
    assert found_in_database(f"{SECRET} 1") == []
    assert len(found_in_database(f"{SECRET} 2")) == 5
    stored = StoredEvent.objects.get(subject="word/1")
    assert stored.data == {"number": 1, "text": "", "by": None}
    assert stored.redacted_at is not None
    assert erase("word/1") == 0, "a second time changes nothing"


def test_what_is_left_of_an_error_is_its_type(heard: Heard) -> None:
    say()
    deliver()
    erase("word/1")
    letter = dead_letters(subscriber=heard.name("failing")).get()
    attempt = Attempt.objects.get()
    assert letter.reason == attempt.error == "ValueError: its text was erased with the event"
    assert attempt.traceback == ""
    assert Envelope.decode(bytes(letter.body)).event(attempt=1, run=0).text == ""  # type: ignore[attr-defined]


def test_errors_of_other_events_of_the_same_subject_may_quote_it_and_go_too(heard: Heard) -> None:
    class Replied(Event, topic=f"word.replied_{uuid.uuid4().hex[:8]}", subject="word/{number}"):
        number: int

    @subscriber(Replied, name=heard.name("quoting"), max_retries=0)
    def quoting(event: Replied) -> None:
        raise ValueError(f"row ({SECRET}) is refused")

    say()
    with transaction.atomic():
        emit(Replied(number=1))
    deliver()
    erase("word/1")
    assert found_in_database(SECRET) == []


def replied(heard: Heard) -> type[Event]:
    """A new event that concerns words, and has a subject of its own. Its only subscriber fails and quotes the first."""

    class Replied(
        Event,
        topic=f"reply.made_{uuid.uuid4().hex[:8]}",
        subject="reply/{number}",
        concerns={"word": ("words", "other")},
    ):
        number: int
        words: tuple[int, ...]
        other: int | None = None

    @subscriber(Replied, name=heard.name("quoting"), max_retries=0)
    def quoting(event: Replied) -> None:
        raise ValueError(f"row ({SECRET} {event.words[0]}) is refused")

    return Replied


def emit_one(event: Event) -> None:
    with transaction.atomic():
        emit(event)


@pytest.mark.parametrize("subjects", [("word/1",), ("word/3",), ("word/4",), ("word/9", "word/3")])
def test_errors_of_events_that_concern_it_may_quote_it_and_go_too(heard: Heard, subjects: tuple[str, ...]) -> None:
    reply = replied(heard)
    emit_one(reply(number=7, words=(1, 3), other=4))
    emit_one(reply(number=8, words=(2,)))
    deliver()
    assert len(found_in_database(f"{SECRET} 1")) == 3
    erase(*subjects)
    assert found_in_database(f"{SECRET} 1") == []
    assert len(found_in_database(f"{SECRET} 2")) == 3, "what concerns another word stays"


def test_an_error_can_be_erased_where_no_event_has_the_text(heard: Heard) -> None:
    emit_one(replied(heard)(number=7, words=(1,)))
    deliver()
    with transaction.atomic():
        redact_errors("word/1", "word/2")
    assert found_in_database(SECRET) == []
    assert not StoredEvent.objects.exclude(redacted_at=None).exists()
    with pytest.raises(EmitOutsideTransactionError):
        redact_errors("word/1")


def test_a_failure_of_what_concerns_it_keeps_nothing_if_it_is_recorded_after_the_erasing(heard: Heard) -> None:
    reply, name = replied(heard), heard.name("quoting")
    say(1)
    say(2)
    emit_one(reply(number=7, words=(1,)))
    emit_one(reply(number=8, words=(2,)))
    with pytest.raises(DeliveryFailedError) as failed:
        process(subscriptions[name], take()[name])
    erase("word/1")
    record_failures(failed.value)
    assert Delivery.objects.filter(subscriber=name, state="dead").count() == 2
    assert found_in_database(f"{SECRET} 1") == []
    assert {place for place, _ in found_in_database(f"{SECRET} 2")} >= {
        "events_attempt.error",
        "events_delivery.reason",
    }


def test_an_attempt_that_the_previous_release_recorded_is_found_by_its_event(heard: Heard) -> None:
    say()
    deliver()
    AttemptSubject.objects.all().delete()
    erase("word/1")
    assert found_in_database(SECRET) == []


@pytest.mark.parametrize(
    ("concerns", "said"), [({"word": ("nobody",)}, "'nobody', which is not a field"), ({"word": "number"}, "a tuple")]
)
def test_a_concern_that_does_not_fit_fails_at_the_declaration(concerns: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):

        class Wrong(Event, topic=f"word.wrong_{uuid.uuid4().hex[:8]}", concerns=concerns):
            number: int


def test_a_message_on_its_way_is_delivered_as_the_log_has_it_now(heard: Heard) -> None:
    say()
    on_its_way = take()
    erase("word/1")
    for name, messages in on_its_way.items():
        run(name, messages)
    assert heard.plain == heard.failing == heard.takes == [""]
    assert found_in_database(SECRET) == []
    assert Delivery.objects.filter(state="done").count() == 2


def test_a_failure_recorded_after_the_erasing_keeps_nothing(heard: Heard) -> None:
    say()
    name = heard.name("failing")
    with pytest.raises(DeliveryFailedError) as failed:
        process(subscriptions[name], take()[name])
    erase("word/1")
    record_failures(failed.value)
    assert Delivery.objects.get(subscriber=name).state == "dead"
    assert found_in_database(SECRET) == []


def test_a_replay_brings_it_only_to_those_who_take_it(heard: Heard) -> None:
    say(1)
    say(2)
    deliver()
    erase("word/1")
    heard.plain.clear()
    heard.takes.clear()
    for name in map(heard.name, ("plain", "takes")):
        replay(name, events_for(name))
    deliver()
    assert heard.plain == [f"{SECRET} 2"]
    assert sorted(heard.takes) == ["", f"{SECRET} 2"]
    assert not dead_letters(subscriber=heard.name("takes")).exists()


def test_a_dead_letter_that_is_requeued_is_delivered_without_it(heard: Heard) -> None:
    say()
    deliver()
    erase("word/1")
    requeue(dead_letters(subscriber=heard.name("failing")))
    deliver()
    assert heard.failing == [f"{SECRET} 1", ""]
    assert found_in_database(SECRET) == []


def test_a_part_of_a_value_can_be_changed_alone(heard: Heard) -> None:
    say()
    assert erase("word/1", changes={"text": lambda text: text.replace("7351", "…"), "by": lambda by: by}) == 1
    stored = StoredEvent.objects.get()
    assert stored.data == {"number": 1, "text": "planted-secret-… 1", "by": SECRET}
    assert erase("word/1", changes={"text": lambda text: text}) == 0


def test_outside_of_a_transaction_it_is_refused(heard: Heard) -> None:
    with pytest.raises(EmitOutsideTransactionError):
        redact("word/1")


@pytest.mark.parametrize(
    ("redactions", "said"),
    [({"txet": ""}, "'txet', which is not a field"), ({"text": None}, "does not accept"), ({"number": "0"}, "accept")],
)
def test_a_redaction_that_does_not_fit_its_field_fails_at_the_declaration(redactions: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):

        class Wrong(Event, topic=f"word.wrong_{uuid.uuid4().hex[:8]}", redactions=redactions):
            number: int
            text: str


def test_an_option_that_is_no_yes_or_no_fails_at_the_declaration() -> None:
    with own_subscribers(), pytest.raises(ValueError, match="takes_redacted"):
        subscriber(Said, name="effects.wrong", takes_redacted="yes")(lambda event: None)


def test_bytes_that_were_refused_lose_what_they_say_in_the_next_sweep(heard: Heard) -> None:
    say()
    (message,) = take()[heard.name("plain")]
    run(heard.name("plain"), [message._replace(envelope=None, error="not signed")])
    assert ("events_delivery.body", 1) in found_in_database(SECRET)
    erase("word/1")
    if dramatiq.get_broker().in_process:  # type: ignore[attr-defined]
        sweep(dramatiq.get_broker())  # type: ignore[arg-type]
        assert found_in_database(SECRET) == []
        assert StaleEvent.objects.count() == 1, "a relay may be publishing it"
        StaleEvent.objects.update(at="2026-01-01T00:00Z")
        sweep(dramatiq.get_broker())  # type: ignore[arg-type]
        assert not StaleEvent.objects.exists()
    assert not OutboxMessage.objects.exists()
