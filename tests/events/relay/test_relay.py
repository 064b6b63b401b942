"""The relay: one is active, the others stand by; broker and database trouble only delay it; delays are kept to."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import dramatiq
import pytest
from django.conf import settings
from django.db import connection, connections, transaction

from events.bus import emit, emit_many
from events.models import Delivery, OutboxMessage
from events.relay.earlier import RELAY_LOCK
from events.relay.relay import Relay, lease_and_listener
from events.relay.session import PostgresSession
from tests.conformance.processes import Manage
from tests.conformance.rabbitmq import remove_queues
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.support.effects import all_done, ring
from tests.support.seat import seated, seated_process, unseat

Eventually = Callable[..., None]


TAKE_WAKE_LOCK = "SELECT pg_try_advisory_lock(%s)"


@contextmanager
def running(*relays: Relay, stop: threading.Event) -> Iterator[None]:
    threads = [threading.Thread(target=relay.run, daemon=True) for relay in relays]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)


@pytest.fixture
def place(transactional_db: None, request: pytest.FixtureRequest) -> Iterator[None]:
    """A database with committed data and, on services, a vhost, which keeps nothing of what the test published."""
    if settings.AIRY_BROKER == "rabbitmq":
        request.getfixturevalue("vhost")
    yield
    if settings.AIRY_BROKER == "rabbitmq":
        remove_queues()


def test_of_two_relays_one_is_active_and_the_other_follows_when_it_ends(place: None, eventually: Eventually) -> None:
    first_stop, second_stop = threading.Event(), threading.Event()
    first, second = (Relay(dramatiq.get_broker(), stop=stop) for stop in (first_stop, second_stop))
    with running(second, stop=second_stop), running(first, stop=first_stop):
        eventually(lambda: first.active or second.active)
        assert first.active != second.active
        (second_stop if second.active else first_stop).set()
        eventually(lambda: first.active == second_stop.is_set() and second.active == first_stop.is_set())


@pytest.mark.postgres
def test_a_relay_whose_session_was_ended_stops_and_stands_by(place: None, eventually: Eventually) -> None:
    stop = threading.Event()
    first, second = (Relay(dramatiq.get_broker(), stop=stop) for _ in range(2))
    with running(first, second, stop=stop):
        for _ in range(3):
            eventually(lambda: first.active != second.active)
            before = seated()
            with transaction.atomic():
                emit_many(Rang(number=number) for number in range(200))
            unseat()
            eventually(lambda before=before: seated() and seated() != before)
            # Of two that took themselves for it, one would not know that its seat is another's.
            eventually(lambda: first.active != second.active)
    assert not first.active
    assert not second.active


def test_an_alarm_raised_while_the_relay_carries_is_there_when_it_would_wait(
    place: None, eventually: Eventually
) -> None:
    lease, listener = lease_and_listener("one")
    assert lease.acquire()
    listener.start()
    ring(1)
    with listener.asleep() as asleep:
        assert asleep
        assert not listener.notified()
        ring(1)
        eventually(listener.notified)
        assert lease.held()  # looking at the socket must not swallow what it says
        begun = time.monotonic()
        listener.wait(30)
        assert time.monotonic() - begun < 15
        assert not listener.notified()
        ring(1)
        eventually(listener.notified)
    with listener.asleep() as asleep:
        assert asleep
        assert not listener.notified()  # an alarm of the last sleep is over: what raised it is there to be carried
    lease.release()


@pytest.mark.postgres
def test_those_who_stand_by_are_not_woken(place: None, eventually: Eventually) -> None:
    (leader, listener), (rival, other) = lease_and_listener("one"), lease_and_listener("another")
    assert leader.acquire()
    listener.start()
    assert not rival.acquire()
    with listener.asleep():
        ring(1)
        eventually(listener.notified)
        assert not other.notified()
    leader.release()
    eventually(rival.acquire)  # the server ends the session a moment later
    other.start()
    with other.asleep():
        ring(1)
        eventually(other.notified)
    rival.release()


@pytest.mark.postgres
def test_events_that_come_one_by_one_are_carried_with_the_alarm_left_on(
    place: None, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To turn it off and on again for each would cost five questions to the database and delay the next."""
    asked: list[str] = []
    ask = PostgresSession.ask

    def count(session: PostgresSession, sql: str, parameters: Sequence[Any]) -> bool:
        asked.append(sql)
        return ask(session, sql, parameters)

    monkeypatch.setattr(PostgresSession, "ask", count)
    stop = threading.Event()
    relay = Relay(dramatiq.get_broker(), stop=stop)
    with running(relay, stop=stop):
        eventually(lambda: asked.count(TAKE_WAKE_LOCK))
        for _ in range(20):
            ring(1)
            eventually(lambda: not OutboxMessage.objects.filter(subscriber="").exists())
        assert asked.count(TAKE_WAKE_LOCK) <= 10  # once for each event otherwise


def test_a_relay_goes_on_after_however_many_errors(monkeypatch: pytest.MonkeyPatch, eventually: Eventually) -> None:
    """A night without a database is thousands."""
    turns = 0

    def nothing_answers(relay: str, *, seconds: float) -> NoReturn:
        nonlocal turns
        turns += 1
        raise ConnectionError("nothing answers")

    monkeypatch.setattr("events.relay.relay.RELAY_BACKOFF", (1, 1))
    monkeypatch.setattr("events.relay.relay.lease_and_listener", nothing_answers)
    stop = threading.Event()
    with running(Relay(dramatiq.get_broker(), stop=stop), stop=stop):
        eventually(lambda: turns > 1_200, within=60)


@pytest.mark.postgres
def test_a_killed_relay_is_followed_within_five_seconds(manage: Manage, eventually: Eventually) -> None:
    relays = [manage("relay"), manage("relay")]
    with connection.cursor() as cursor:  # both sessions are there: one carries, one stands by
        eventually(lambda: cursor.execute(SESSIONS, RELAY_LOCK).fetchone() == (2,), within=60)
    eventually(seated_process, within=20)
    first = seated_process()
    manage.kill(next(process for process in relays if process.pid == first))
    killed = time.monotonic()
    eventually(lambda: seated_process() not in (None, first), within=5)
    assert time.monotonic() - killed < 5
    with transaction.atomic():
        emit(Rang(number=1))
    eventually(lambda: not OutboxMessage.objects.exists(), within=15)


#: The sessions of relays, active and standing by.
SESSIONS = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND (classid, objid) = (%s, %s)"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def test_a_delay_is_kept_to_within_a_second_and_nothing_comes_early(manage: Manage, eventually: Eventually) -> None:
    manage.worker()
    ring(1)
    eventually(lambda: all_done(1), within=60)
    due = {}
    with transaction.atomic():
        for number, seconds in ((1, 0.7), (2, 1.35), (3, 2.2)):
            event_id = emit(Rang(number=number), delay=dt.timedelta(seconds=seconds))
            due[event_id] = OutboxMessage.objects.get(event_id=event_id).due
    eventually(lambda: all_done(4), within=60)
    for event_id, when in due.items():
        for delivery in Delivery.objects.filter(event_id=event_id, subscriber="effects.alone"):
            late = (delivery.at - when).total_seconds()
            assert 0 <= late < 1, (delivery.subscriber, late)


def test_a_delay_survives_the_end_of_every_process(manage: Manage, eventually: Eventually) -> None:
    worker = manage.worker()
    ring(1)
    eventually(lambda: all_done(1), within=60)
    with transaction.atomic():
        event_id = emit(Rang(number=1), delay=dt.timedelta(seconds=4))
    due = OutboxMessage.objects.get(event_id=event_id).due
    manage.kill(worker)
    assert not Effect.objects.filter(number=1).exists()
    manage.worker()
    eventually(lambda: all_done(2), within=60)
    assert all(delivery.at >= due for delivery in Delivery.objects.filter(event_id=event_id))


def test_a_retry_comes_when_its_backoff_is_over_not_at_the_next_poll(place: None, eventually: Eventually) -> None:
    """What a failure schedules wakes a sleeping relay, as an event does."""
    lease, listener = lease_and_listener("one")
    assert lease.acquire()
    listener.start()
    ring(1)
    (row,) = OutboxMessage.objects.all()
    with listener.asleep() as asleep:
        assert asleep
        woken: list[float] = []

        def sleep() -> None:
            listener.wait(30)
            woken.append(time.monotonic())

        sleeper = threading.Thread(target=sleep)
        sleeper.start()
        retry = OutboxMessage(event_id=row.event_id, subscriber="effects.alone", attempt=2, due=dt.datetime.now(dt.UTC))
        with transaction.atomic():
            OutboxMessage.objects.schedule([retry])
        sleeper.join(10 if connection.vendor == "postgresql" else 1)
        assert woken
    lease.release()
    connections.close_all()


@pytest.mark.rabbitmq
@pytest.mark.postgres
@pytest.mark.parametrize("events", [200, pytest.param(1_000, marks=pytest.mark.slow)])
def test_a_high_priority_overtakes_the_backlog_in_the_broker(
    manage: Manage, eventually: Eventually, events: int
) -> None:
    relay = manage("relay")
    ring(events)
    eventually(lambda: not OutboxMessage.objects.exists(), within=90)
    with transaction.atomic():
        emit(Rang(number=-1), priority=9)
    eventually(lambda: not OutboxMessage.objects.exists(), within=30)
    manage.kill(relay)
    assert not Effect.objects.exists()
    manage.worker()
    eventually(lambda: Effect.objects.filter(number=-1, subscriber="alone").exists(), within=90)
    assert place_in_line() < 20


@pytest.mark.parametrize("events", [200, pytest.param(1_000, marks=pytest.mark.slow)])
def test_a_high_priority_overtakes_the_backlog_in_the_outbox(
    manage: Manage, eventually: Eventually, events: int
) -> None:
    ring(events)
    with transaction.atomic():
        emit(Rang(number=-1), priority=9)
    manage.worker()
    eventually(lambda: Effect.objects.filter(number=-1, subscriber="alone").exists(), within=90)
    assert place_in_line() < 20


def place_in_line() -> int:
    """How many were handled before the event of high priority."""
    high = Effect.objects.get(number=-1, subscriber="alone")
    return Effect.objects.filter(subscriber="alone", pk__lt=high.pk).count()
