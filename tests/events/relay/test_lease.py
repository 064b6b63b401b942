"""The lease: a relay is active while it makes progress; one that is stuck, in whatever way, is followed within seconds
and does no harm when it wakes up."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dramatiq
import psycopg
import pytest
from django.db import connection
from django.db.models.functions import Now

from events.brokers.contract import Courier, EventBroker
from events.models import OutboxMessage, Process
from events.outbox.notify import WAKE_LOCK
from events.relay.earlier import RELAY_LOCK
from events.relay.lease import TERMS_KEPT, Lease
from events.relay.models import RelayTerm
from events.relay.relay import Relay, lease_and_listener
from tests.conformance.processes import Manage, database_url
from tests.conformance.rabbitmq import remove_queues
from tests.support.effects import all_done, assert_one_effect_each, ring
from tests.support.seat import seated, seated_process, sessions_of, stopped

Eventually = Callable[..., None]


@contextmanager
def leases(*relays: str, seconds: float = 3.0) -> Iterator[list[Lease]]:
    made = [lease_and_listener(relay, seconds=seconds)[0] for relay in relays]
    try:
        yield made
    finally:
        for lease in made:
            with suppress(psycopg.Error):  # a test may have ended its session
                lease.release()


def last_term() -> RelayTerm:
    return RelayTerm.objects.latest("number")


def test_a_term_lasts_while_it_is_renewed_and_a_standby_begins_the_next_when_it_is_not(
    transactional_db: None, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("events.relay.lease.RENEW_INTERVAL", 0.1)
    with leases("one", "another", seconds=1.0) as (one, another):
        assert one.acquire()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert one.keep()
            assert not another.acquire()
            time.sleep(0.05)
        assert last_term().number == 1
        eventually(another.acquire)
        assert not one.held()
        assert not one.keep()
        assert another.held()
        assert last_term().number == 2
        assert last_term().holder.startswith("another")


def test_a_term_that_was_ended_is_followed_at_once_and_so_is_a_relays_own(transactional_db: None) -> None:
    with leases("one", "one", "another", seconds=60.0) as (one, again, another):
        assert one.acquire()
        assert again.acquire()  # the same relay, after its connections failed
        assert not one.keep() or one.held()
        assert not another.acquire()
        again.release()
        assert another.acquire()


def test_an_old_holder_that_wakes_up_after_its_lease_cannot_renew_it(transactional_db: None) -> None:
    with leases("one", seconds=0.2) as (one,):
        assert one.acquire()
        expires = last_term().expires_at
        time.sleep(0.3)
        assert not one.held()
        assert not one.keep()
        assert last_term().expires_at == expires


def test_a_renewal_that_is_answered_after_the_lease_has_passed_does_not_count(transactional_db: None) -> None:
    with leases("one", seconds=1.0) as (one,):
        change = one._session.change

        def late(sql: str, parameters: Any) -> int:
            done = change(sql, parameters)
            if sql.startswith("UPDATE"):
                time.sleep(1.0)
            return done

        assert one.acquire()
        time.sleep(0.8)  # time to renew
        one._session.change = late  # type: ignore[method-assign]
        assert not one.keep()
        assert not one.held()


def test_the_holder_of_an_earlier_term_sees_at_its_next_renewal_that_another_one_began(transactional_db: None) -> None:
    """The database's clock was set forward, say."""
    with leases("one", "another", seconds=60.0) as (one, another):
        assert one.acquire()
        RelayTerm.objects.update(expires_at=Now())
        assert another.acquire()
        one._renew_at = 0.0
        assert not one.keep()
        assert another.keep()


def test_a_term_that_no_clock_lets_expire_is_over_when_it_has_not_changed_for_long(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    """The database's clock was set back."""
    monkeypatch.setattr("events.relay.lease.LONGEST_LEASE", 0.5)
    with leases("one", "another", seconds=3_600.0) as (one, another):
        assert one.acquire()
        assert not another.acquire()
        eventually(another.acquire, within=5)


def test_of_the_old_terms_the_last_ones_are_kept(transactional_db: None) -> None:
    with leases("one") as (one,):
        for _ in range(TERMS_KEPT + 5):
            assert one.acquire()
    numbers = sorted(RelayTerm.objects.values_list("number", flat=True))
    assert numbers == list(range(6, TERMS_KEPT + 6))


@pytest.mark.postgres
def test_a_hung_session_that_is_adding_or_renewing_a_term_keeps_no_standby_waiting(
    transactional_db: None, eventually: Eventually
) -> None:
    with leases("one", "another", seconds=0.5) as (one, another), psycopg.connect(database_url()) as hung:
        assert one.acquire()
        hung.execute("SELECT * FROM events_relayterm FOR UPDATE")
        hung.execute(
            "INSERT INTO events_relayterm (number, holder, started_at, expires_at) VALUES (2, 'hung', now(), now())"
        )
        eventually(another.acquire, within=5)
        hung.commit()
        assert last_term().number == 3
        assert another.number == 3


@pytest.mark.postgres
def test_a_relay_of_an_earlier_release_and_one_of_this_are_never_active_at_once(
    transactional_db: None, eventually: Eventually
) -> None:
    alone = "SELECT pg_try_advisory_lock(%s, %s)"
    with psycopg.connect(database_url(), autocommit=True) as earlier, leases("one", "another", seconds=0.5) as made:
        one, another = made
        assert earlier.execute(alone, RELAY_LOCK).fetchone() == (True,)
        assert not one.acquire()
        earlier.execute("SELECT pg_advisory_unlock(%s, %s)", RELAY_LOCK)
        assert one.acquire()
        assert earlier.execute(alone, RELAY_LOCK).fetchone() == (False,)
        eventually(another.acquire, within=5)  # `one` is frozen; its session keeps the lock
        assert earlier.execute(alone, RELAY_LOCK).fetchone() == (False,)
        one.release()
        another.release()
        eventually(lambda: earlier.execute(alone, RELAY_LOCK).fetchone() == (True,), within=5)


def test_a_relay_of_an_earlier_release_beside_sqlite_is_never_active_at_once_with_one_of_this(
    transactional_db: None, eventually: Eventually
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the lock is a file beside SQLite alone")
    with (
        leases("one", "another", seconds=0.5) as (one, another),
        Path(f"{connection.settings_dict['NAME']}.relay").open("w") as earlier,
    ):
        fcntl.flock(earlier, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert not one.acquire()
        fcntl.flock(earlier, fcntl.LOCK_UN)
        assert one.acquire()
        with pytest.raises(BlockingIOError):
            fcntl.flock(earlier, fcntl.LOCK_EX | fcntl.LOCK_NB)
        eventually(another.acquire, within=5)
        one.release()
        another.release()
        fcntl.flock(earlier, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.postgres
def test_the_session_of_a_frozen_relay_ends_by_itself_and_with_it_its_locks(
    transactional_db: None, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("events.relay.session.IDLE_SESSION_TIMEOUT", 1)
    with leases("frozen") as (frozen,):
        assert frozen.acquire()
        (pid,) = seated()
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version_num")
            if int(cursor.fetchone()[0]) < 140_000:
                pytest.skip("needs PostgreSQL 14")
            gone = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
            eventually(lambda: cursor.execute(gone, [pid]) or cursor.fetchone() == (0,), within=10)


def relays(manage: Manage, eventually: Eventually) -> int:
    """Two relays in processes of their own; returns the process of the active one, when it has carried."""
    manage("relay")
    manage("relay")
    with connection.cursor() as cursor:
        sessions = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND (classid, objid) = (%s, %s)"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        eventually(lambda: cursor.execute(sessions, RELAY_LOCK) or cursor.fetchone()[0] == 2, within=60)
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
    with stopped(*seated()):  # the session by which it holds its lease
        carries_within_five_seconds(range(40, 60))
        assert seated_process() == second
    with stopped(*(set(sessions_of(second)) - set(seated()))):  # those by which it reads the outbox
        carries_within_five_seconds(range(60, 80))
        assert seated_process() == first
    manage.worker()
    eventually(lambda: all_done(80), within=90)
    assert_one_effect_each(80)


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
        (oid,) = held.execute("SELECT 'events_outboxmessage'::regclass::oid").fetchone() or (0,)
        # What the statement of an emit does while the relay is awake.
        assert held.execute(SHARE, [WAKE_LOCK | oid]).fetchone() == (True,)
        thread.start()
        try:
            eventually(lambda: broker.passes > 20)  # the pause doubles, up to a second
            before = broker.passes
            time.sleep(2.0)
            assert broker.passes - before <= 6  # 2 a second; 40 a second with pauses of a fiftieth of a second
            ring(1)
            eventually(lambda: not OutboxMessage.objects.exists(), within=5)
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
    monkeypatch.setattr("events.relay.relay.LEASE", 0.3)
    stop = threading.Event()
    slow: Any = SlowBroker(dramatiq.get_broker(), seconds=0.5)  # type: ignore[arg-type]
    relays = [Relay(slow, stop=stop) for _ in range(2)]
    ring(1)
    threads = [threading.Thread(target=relay.run) for relay in relays]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: not OutboxMessage.objects.filter(subscriber="").exists(), within=20)
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
