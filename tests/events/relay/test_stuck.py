"""A relay that is stuck, in whatever way, is followed within seconds and does no harm when it wakes up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import dramatiq
import psycopg
import pytest
from django.conf import settings
from django.db import connection

from events.brokers.contract import Courier, EventBroker
from events.models import OutboxMessage, Process
from events.outbox.notify import WAKE_LOCK
from events.relay.earlier import RELAY_LOCK
from events.relay.models import RelayTerm
from events.relay.relay import Relay
from tests.conformance.processes import Manage, database_url
from tests.conformance.rabbitmq import remove_queues
from tests.support.effects import all_done, assert_one_effect_each, ring
from tests.support.seat import seated, seated_process, sessions_of, stopped

Eventually = Callable[..., None]


def last_term() -> RelayTerm:
    return RelayTerm.objects.latest("number")


def relays(manage: Manage, eventually: Eventually) -> int:
    """Two relays in processes of their own; returns the process of the active one, when it has carried."""
    manage("relay")
    manage("relay")
    with connection.cursor() as cursor:
        sessions = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND (classid, objid) = (%s, %s)"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        eventually(lambda: cursor.execute(sessions, RELAY_LOCK).fetchone() == (2,), within=60)
    ring(1)
    eventually(lambda: not OutboxMessage.objects.exists(), within=30)
    active = seated_process()
    assert active is not None
    return active


def carries_within_five_seconds(numbers: range) -> None:
    begun = time.monotonic()
    ring(len(numbers), start=numbers.start)
    while OutboxMessage.objects.exists():
        assert time.monotonic() < begun + 5.0, last_term().holder
        time.sleep(0.02)


@pytest.mark.postgres
@pytest.mark.rabbitmq
def test_a_frozen_process_or_server_process_is_followed_within_five_seconds_and_harms_nothing_later(
    manage: Manage, eventually: Eventually
) -> None:
    first = relays(manage, eventually)
    with stopped(first):
        carries_within_five_seconds(range(1, 20))
        second = seated_process()
        assert second != first
    assert second is not None
    everything = sessions_of(second)
    own = seated()
    assert set(own) < set(everything)
    with stopped(*everything):  # its disk hangs; rows and locks of these sessions stay locked
        carries_within_five_seconds(range(20, 40))
        assert seated_process() == first
    hung = seated()
    with stopped(*hung):  # the session by which it holds its lease
        carries_within_five_seconds(range(40, 50))  # before the lease expires, or under the next one
        eventually(lambda: seated() and set(seated()).isdisjoint(hung), within=10)  # it may follow itself
        carries_within_five_seconds(range(50, 60))
    manage.worker()
    eventually(lambda: all_done(60), within=90)
    assert_one_effect_each(60)


@pytest.mark.home
def test_a_frozen_process_beside_sqlite_is_followed_within_five_seconds_and_harms_nothing_later(
    manage: Manage, eventually: Eventually
) -> None:
    """So is one whose interpreter lock is held: none of its threads comes to anything."""
    for _ in range(2):
        manage.worker()
    ring(1)
    eventually(lambda: all_done(1), within=60)
    first = seated_process()
    assert first is not None
    eventually(lambda: Process.objects.alive().count() == 2, within=60)
    with stopped(first):
        begun = time.monotonic()
        ring(5, start=1)
        eventually(lambda: seated_process() not in (None, first), within=5)
        eventually(lambda: all_done(6), within=5)
        assert time.monotonic() < begun + 5.0
    ring(5, start=6)
    eventually(lambda: all_done(11), within=30)
    assert_one_effect_each(11)


@pytest.mark.postgres
@pytest.mark.rabbitmq
def test_a_relay_alone_whose_server_processes_hang_begins_anew_with_others(
    manage: Manage, eventually: Eventually
) -> None:
    relay = manage("relay")
    ring(1)
    eventually(lambda: not OutboxMessage.objects.exists(), within=60)
    with stopped(*sessions_of(relay.pid)):
        ring(1, start=1)
        eventually(lambda: not OutboxMessage.objects.exists(), within=20)
    ring(1, start=2)
    eventually(lambda: not OutboxMessage.objects.exists(), within=20)
    assert relay.poll() is None


@pytest.mark.postgres
@pytest.mark.rabbitmq
def test_what_a_hung_session_has_locked_holds_up_the_next_leader_for_no_other_row(
    transactional_db: None, vhost: str, eventually: Eventually
) -> None:
    """A former leader whose server process hangs keeps its locks: rows, the wake lock and that of earlier releases."""
    (oid,) = row("SELECT 'events_outboxmessage'::regclass::oid")
    ring(10)
    stop = threading.Event()
    thread = threading.Thread(target=Relay(dramatiq.get_broker(), stop=stop).run)
    with psycopg.connect(database_url()) as hung:
        hung.execute("SELECT FROM events_outboxmessage ORDER BY id LIMIT 2 FOR UPDATE")
        hung.execute("SELECT pg_advisory_lock(%s), pg_advisory_lock_shared(%s, %s)", [WAKE_LOCK | oid, *RELAY_LOCK])
        thread.start()
        try:
            eventually(lambda: OutboxMessage.objects.count() == 2, within=30)  # RabbitMQ has every queue from now on
            for number in range(10, 13):
                begun = time.monotonic()
                ring(1, start=number)
                eventually(lambda: OutboxMessage.objects.count() == 2, within=5)
                assert time.monotonic() - begun < 2
            hung.rollback()
            eventually(lambda: not OutboxMessage.objects.exists(), within=10)
        finally:
            stop.set()
            thread.join(20)
            remove_queues()


def row(sql: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def test_an_open_transaction_that_emitted_does_not_keep_the_relay_awake(
    transactional_db: None, request: pytest.FixtureRequest, eventually: Eventually
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("beside SQLite the relay looks ten times a second, whatever happens")
    request.getfixturevalue("vhost")
    stop = threading.Event()
    broker: Any = CountingBroker(dramatiq.get_broker())  # type: ignore[arg-type]
    thread = threading.Thread(target=Relay(broker, stop=stop).run)
    with psycopg.connect(database_url()) as held:
        (oid,) = row("SELECT 'events_outboxmessage'::regclass::oid")
        # What the statement of an emit does while the relay is awake.
        assert held.execute(SHARE, [WAKE_LOCK | oid]).fetchone() == (True,)
        thread.start()
        try:
            eventually(lambda: broker.passes > 20)  # the pause doubles, up to a second
            before = broker.passes
            time.sleep(2.0)
            assert broker.passes - before <= 6  # 2 a second; 40 a second with pauses of a fiftieth of a second
            ring(1)
            eventually(lambda: not OutboxMessage.objects.exists(), within=30)
        finally:
            stop.set()
            thread.join(20)
            remove_queues()


SHARE = "SELECT pg_try_advisory_xact_lock_shared(%s)"


class CountingBroker:
    """The broker, with couriers that count their passes."""

    def __init__(self, broker: EventBroker) -> None:
        self._broker = broker
        self.passes = 0

    def courier(self, go_on: Callable[[], bool]) -> Courier:
        courier = self._broker.courier(go_on=go_on)
        carry = courier.carry

        def counted() -> int:
            self.passes += 1
            return carry()

        courier.carry = counted  # type: ignore[method-assign]
        return courier


class SlowBroker:
    """The broker, with couriers that take their time for each pass."""

    def __init__(self, broker: EventBroker, *, seconds: float) -> None:
        self._broker = broker
        self._seconds = seconds

    def courier(self, go_on: Callable[[], bool]) -> Courier:
        courier = self._broker.courier(go_on=go_on)
        carry, seconds = courier.carry, self._seconds

        def slow() -> int:
            time.sleep(seconds)
            return carry()

        courier.carry = slow  # type: ignore[method-assign]
        return courier


def test_a_database_slower_than_the_lease_is_carried_from_nevertheless(
    transactional_db: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    if settings.AIRY_BROKER == "rabbitmq":
        request.getfixturevalue("vhost")
    monkeypatch.setattr("events.relay.relay.LEASE", 0.3)
    stop = threading.Event()
    slow: Any = SlowBroker(dramatiq.get_broker(), seconds=0.5)  # type: ignore[arg-type]
    relays = [Relay(slow, stop=stop) for _ in range(2)]
    ring(1)
    threads = [threading.Thread(target=relay.run) for relay in relays]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: not OutboxMessage.objects.filter(subscriber="").exists(), within=30)
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
        if settings.AIRY_BROKER == "rabbitmq":
            remove_queues()
