"""Failures: what a subscriber refuses comes again, and what is spent is kept."""

import json
import threading
import time

import pytest
from django.db import connection

from events.bus import Event, PermanentFailure, RetryAfter, emit
from events.models import Attempt, DeadLetter, Delivery, StoredEvent
from tests.conformance.case import PATIENCE, Case
from tests.conformance.events import Followed, Noted
from tests.conformance.models import Mark
from tests.conformance.sizes import full, small


def test_refused_messages_come_again(case: Case) -> None:
    def refuse_two(event: Noted) -> None:
        if event.number < 2 and event.meta.attempt == 1:
            raise ValueError("not yet")

    listener = case.subscriber(does=refuse_two)
    case.worker_until_the_end()
    ids = case.emit(case.notes_of(100))
    case.expect(listener, ids)
    assert set(Mark.objects.filter(attempt=2).values_list("number", flat=True)) == {0, 1}
    assert Attempt.objects.count() == 2


@pytest.mark.parametrize("many", [small(40), full(100)])
def test_after_many_failures_a_later_worker_gets_every_message(case: Case, many: int) -> None:
    """Three workers in turn fail many times each; the fourth is well."""
    broken, failures = threading.Event(), threading.Semaphore(0)
    broken.set()

    def fail(event: Noted) -> None:
        if broken.is_set():
            failures.release()
            raise ValueError("broken")

    listener = case.subscriber(does=fail, group=1, max_retries=1000, min_backoff=1, max_backoff=5)
    ids = case.emit(case.notes_of(50))
    for _ in range(3):
        with case.open_worker():
            for _ in range(many):
                assert failures.acquire(timeout=PATIENCE)
    broken.clear()
    case.worker_until_the_end()
    case.expect(listener, ids)
    assert Attempt.objects.count() >= 3 * many


def test_a_poison_message_leaves_its_neighbours_and_the_other_subscribers(case: Case) -> None:
    def choke(event: Noted) -> None:
        if event.number == 20:
            raise ValueError("poison")

    listener = case.subscriber(does=choke, max_retries=1)
    other = case.subscriber(name="other")
    ids = case.emit(case.notes_of(41))
    case.worker_until_the_end()
    case.expect(other, ids)
    case.wait_for(listener, 41)
    assert sorted(number for _, number in case.effects(listener)) == [*range(20), *range(21, 41)]


def test_spent_retries_leave_a_dead_letter_with_reason_bytes_and_attempts(case: Case) -> None:
    def choke(event: Noted) -> None:
        raise ValueError(f"no taste for {event.text}")

    listener = case.subscriber(does=choke, max_retries=2)
    case.worker_until_the_end()
    (event_id,) = case.emit([Noted(number=1, text="毒")])
    case.wait_for(listener, 1)
    dead = DeadLetter.objects.get(state="dead")
    assert (dead.event_id, dead.subscriber, dead.attempts) == (event_id, listener.name, 3)
    assert dead.reason == "ValueError: no taste for 毒"
    assert json.loads(bytes(dead.body))["data"] == {"line": 0, "number": 1, "text": "毒"}
    assert [one.number for one in dead.failures.order_by("number")] == [1, 2, 3]
    assert not Mark.objects.exists()


def test_a_permanent_failure_is_dead_at_once(case: Case) -> None:
    def refuse(event: Noted) -> None:
        raise PermanentFailure("never")

    listener = case.subscriber(does=refuse)
    case.worker_until_the_end()
    case.emit(case.notes_of(1))
    case.wait_for(listener, 1)
    assert DeadLetter.objects.get(state="dead").attempts == case.counts().handed == 1


def test_bytes_that_cannot_be_read_are_kept_as_they_came(case: Case) -> None:
    case.requires("foreign")
    listener = case.subscriber()
    case.worker_until_the_end()
    case.expect(listener, case.emit(case.notes_of(1)))
    for body in (b"\xff\x00 no JSON", b"{}", b""):
        case.candidate.publish(case.namespace, Noted.topic, body)
    case.eventually(lambda: Delivery.objects.filter(state="dead").count() == 3)
    dead = DeadLetter.objects.filter(state="dead")
    assert {bytes(one.body) for one in dead} == {b"\xff\x00 no JSON", b"{}", b""}
    assert all("not a CloudEvent" in one.reason for one in dead)


def test_a_retry_at_once_and_a_delayed_one_each_keep_their_time(case: Case) -> None:
    times: dict[int, list[float]] = {0: [], 1: []}

    def later(event: Noted) -> None:
        times[event.number].append(time.monotonic())
        if event.meta.attempt == 1:
            raise RetryAfter(2.5 if event.number else 0)

    listener = case.subscriber(does=later, group=1)
    case.worker_until_the_end()
    case.expect(listener, case.emit(case.notes_of(2)))
    at_once, delayed = (times[number][1] - times[number][0] for number in (0, 1))
    assert delayed >= 2.5
    assert at_once < delayed
    case.note(f"retried at once after {at_once:.2f} s, after 2.5 s in {delayed:.2f} s")


def test_a_failure_that_cannot_be_written_down_holds_the_message_until_it_can(case: Case) -> None:
    """The table of failures is away while the first runs fail; each counts once when it is back."""
    away = threading.Event()
    runs = threading.Semaphore(0)

    def fail_while_away(event: Noted) -> None:
        if away.is_set():
            runs.release()
            raise ValueError("failed while nobody could write")

    listener = case.subscriber(does=fail_while_away, group=1)
    case.worker_until_the_end(threads=6)
    away.set()
    rename("events_attempt", "events_attempt_away")
    try:
        ids = case.emit(case.notes_of(3))
        for _ in range(3):
            assert runs.acquire(timeout=PATIENCE)
        assert not Delivery.objects.filter(event_id__in=ids).exists()
    finally:
        away.clear()
        rename("events_attempt_away", "events_attempt")
    case.expect(listener, ids)
    assert not runs.acquire(blocking=False)
    assert [attempt.number for attempt in Attempt.objects.all()] == [1, 1, 1]


def test_a_run_over_its_time_limit_is_interrupted_and_tried_again(case: Case) -> None:
    def linger(event: Noted) -> None:
        if event.meta.attempt == 1:
            end = time.monotonic() + 20
            while time.monotonic() < end:
                time.sleep(0.01)

    listener = case.subscriber(does=linger, time_limit=300)
    case.worker_until_the_end()
    case.expect(listener, case.emit(case.notes_of(1)))
    assert "time limit of 0.3 s" in Attempt.objects.get().error


@pytest.mark.parametrize("group", [pytest.param(1, id="one by one"), pytest.param(50, id="in groups")])
def test_the_context_of_a_message_ends_with_it(case: Case, group: int) -> None:
    """What a subscriber emits names its own message as the cause, also when one thread takes them in turn."""

    def answer(event: Event) -> None:
        emit(Followed(line=event.line, number=event.number))

    listener = case.subscriber(does=answer, group=group)
    follower = case.subscriber(Followed, name="follower")
    case.worker_until_the_end(threads=1)
    ids = case.emit(case.notes_of(20))
    case.expect(listener, ids)
    case.wait_for(follower, 20)
    answers = StoredEvent.objects.filter(topic=Followed.topic)
    assert {(one.data["number"], one.causation_id, one.correlation_id) for one in answers} == {
        (number, id, id) for number, id in enumerate(ids)
    }
    (outside,) = case.emit([Followed(number=99)])
    assert StoredEvent.objects.get(event_id=outside).causation_id is None


def rename(table: str, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {name}")
