"""The lease: who has it, for how long, and what ends it."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.models.functions import Now

from events.relay.earlier import RELAY_LOCK
from events.relay.lease import TERMS_KEPT, Lease
from events.relay.models import RelayTerm
from events.relay.relay import lease_and_listener
from tests.conformance.processes import database_url
from tests.support.seat import seated

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
            eventually(lambda: cursor.execute(gone, [pid]).fetchone() == (0,), within=10)
