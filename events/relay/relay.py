"""The relay: outbox → broker. One is active, for as long as it renews its lease; the others stand by.

How the active relay sleeps and wakes, on PostgreSQL (`_sleep`, `outbox/notify.py`):

    relay                                              a transaction that emits
    1. carry until the outbox is drained
    2. take the wake lock, exclusive
    3. carry once more: rows that were committed
       before step 2 sent no notification
    4. wait for a notification                          writes its rows; does not get the wake lock
                                                        commits, and with it the notification
    5. carry what was committed; more rows: give the
       wake lock back and go to 1; else go to 4

A transaction that got the wake lock (shared) before step 2 keeps the relay from taking it: `asleep()` yields False, and
the relay looks again after SHORT_POLL instead of waiting for a notification that will not come. While nothing comes,
the pause doubles, up to a second: such a transaction may stay open for hours.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import connections, router
from dramatiq.common import compute_backoff

from ..brokers.contract import Courier, EventBroker, GivenUpError
from ..db.discard import discard
from ..figures import Counter
from ..logger import get_logger
from ..outbox.models import OutboxMessage
from .earlier import SharedAdvisoryLock, SharedLockFile
from .lease import LEASE, LONGEST_LEASE, Lease, relay_name
from .listen import Listener, PollingListener, PostgresListener
from .own_session import SessionRefusedError
from .session import LocalSession, PostgresSession
from .watchdog import Watchdog, cut

log = get_logger("events.relay")

#: Seconds between two looks of a standby at the last term.
STANDBY_POLL = 0.5
#: Seconds that the active relay sleeps, at most.
LONGEST_SLEEP = 1.0
#: Seconds until the relay looks again while a transaction that saw it awake is open: at first, at most.
SHORT_POLL = (0.001, 1.0)
#: After fewer than 100 rows the relay lets more gather for 0.01 s. It competes for the processors, and each time it
#: falls asleep some transactions must send a notification, which makes their commits queue. A single event finds the
#: relay asleep and does not wait for others.
FEW_ROWS, GATHER = 100, 0.01
#: Milliseconds between an error and the next term: the first pause, the longest pause.
RELAY_BACKOFF = (250, 2_000)
#: Seconds between two warnings while every term ends in an error.
WARN_INTERVAL = 15.0
#: Seconds beyond the lease after which a relay that hangs begins anew.
HANG_GRACE = 2.0
#: Seconds until a relay whose session was refused asks for one again.
REFUSED_PAUSE = 5.0


RECONNECTS = Counter(
    "airy_relay_reconnects_total",
    "How often a relay began anew with new connections, after an error of database or broker",
)


class LeaseLostError(ConnectionError):
    """This relay did not renew its lease in time: another one may be active by now."""


class Relay:
    """Carries until it is stopped. Any error ends a term; the next term begins with new connections, after a
    backoff."""

    def __init__(self, broker: EventBroker, *, stop: threading.Event) -> None:
        self._broker = broker
        self._stop = stop
        self._name = relay_name()
        self._lease: Lease | None = None
        self._lease_seconds = LEASE
        #: Whether a pass of this term has ended before the term expired.
        self._in_time = False
        self._watchdog = Watchdog(self._cut)
        #: What the watchdog cuts: the connections of the relay's thread.
        self._cuts: list[Callable[[], None]] = []
        self._errors = 0
        self._warn_at = 0.0
        self._short_poll = SHORT_POLL[0]

    @property
    def active(self) -> bool:
        """Whether this relay is the one that carries. It ceases to be so if it makes no progress."""
        lease = self._lease
        return lease is not None and lease.held()

    def run(self) -> None:
        """Serve term after term until stopped."""
        self._watchdog.start()
        while not self._stop.is_set():
            try:
                self._watchdog.progress(patience=self._lease_seconds + HANG_GRACE)
                self._serve_term()
            except LeaseLostError as error:
                log.warning("relay stands by", error=str(error))
            except SessionRefusedError as error:
                log.error("the relay cannot work", error=str(error))
                self._watchdog.rest()
                self._stop.wait(REFUSED_PAUSE)
            except Exception as error:  # noqa: BLE001 - the relay must outlive every error of database and broker
                self._pause_after(error)
        self._watchdog.stop()
        discard(_connection())

    def _cut(self) -> None:
        if not self._in_time:
            self._lengthen_lease()
        for cut_one in self._cuts:
            cut_one()

    def _pause_after(self, error: Exception) -> None:
        self._watchdog.rest()
        RECONNECTS.inc()
        self._errors, pause = compute_backoff(self._errors, factor=RELAY_BACKOFF[0], max_backoff=RELAY_BACKOFF[1])
        if time.monotonic() >= self._warn_at:
            self._warn_at = time.monotonic() + WARN_INTERVAL
            log.warning("relay interrupted", error=repr(error), again_in=pause / 1000, exc_info=error)
        self._stop.wait(pause / 1000)

    def _serve_term(self) -> None:
        lease, listener = lease_and_listener(self._name, seconds=self._lease_seconds)
        connection = _connection()
        self._cuts = [lease.cut] + [lambda: cut(connection.connection)] * (connection.vendor == "postgresql")
        try:
            while not lease.acquire():
                self._watchdog.progress()
                if self._stop.wait(STANDBY_POLL):
                    return
            listener.start()
            log.info("relay active")
            self._lease, self._in_time = lease, False
            try:
                with suppress(GivenUpError):
                    self._work(lease, listener)
            finally:
                self._lease = None
            if not self._stop.is_set():
                self._after_loss()
        finally:
            self._end(lease)

    def _after_loss(self) -> None:
        if not self._in_time:
            self._lengthen_lease()
        raise LeaseLostError("the lease was not renewed in time; another relay may be active by now")

    def _lengthen_lease(self) -> None:
        """The database may be slower than the lease is long. A longer one lets it be carried from nevertheless."""
        self._lease_seconds = min(2 * self._lease_seconds, LONGEST_LEASE)

    def _end(self, lease: Lease) -> None:
        try:
            lease.release()
        except Exception as error:  # noqa: BLE001 - of psycopg or Django: a term that is not ended expires
            log.info("the term was not ended", error=repr(error))
        if not self._stop.is_set():
            discard(_connection())

    def _work(self, lease: Lease, listener: Listener) -> None:
        """Carry until stopped, or until the lease is lost."""
        courier = self._broker.courier(go_on=lambda: self._may_go_on(lease))
        self._short_poll = SHORT_POLL[0]
        try:
            while self._may_go_on(lease):
                self._drain(courier, lease)
                self._sleep(courier, lease, listener)
        finally:
            courier.close()

    def _drain(self, courier: Courier, lease: Lease) -> None:
        """Carry until the outbox is empty."""
        while self._may_go_on(lease) and (moved := self._carry(courier, lease)):
            self._short_poll = SHORT_POLL[0]
            if moved < FEW_ROWS:
                self._stop.wait(GATHER)

    def _sleep(self, courier: Courier, lease: Lease, listener: Listener) -> None:
        """Sleep, and carry what wakes the relay, until more rows come meanwhile (steps 2 to 5 above)."""
        with listener.asleep() as asleep:
            while self._may_go_on(lease):
                moved = self._carry(courier, lease)
                if listener.notified() or (moved and not courier.drained):
                    break
                courier.keep_alive()
                longest = LONGEST_SLEEP if asleep else self._short_poll
                until_due = courier.seconds_until_due
                listener.wait(min(until_due, longest) if until_due and until_due > 0 else longest)
                self._short_poll = SHORT_POLL[0] if asleep or moved else min(2 * self._short_poll, SHORT_POLL[1])
                if not asleep:
                    break

    def _carry(self, courier: Courier, lease: Lease) -> int:
        moved = courier.carry()
        if lease.held():
            self._errors, self._in_time, self._lease_seconds = 0, True, LEASE
        return moved

    def _may_go_on(self, lease: Lease) -> bool:
        self._watchdog.progress()
        return not self._stop.is_set() and lease.keep()


def lease_and_listener(relay: str, *, seconds: float = LEASE) -> tuple[Lease, Listener]:
    """Those that fit the outbox's database. On PostgreSQL they share one session."""
    connection = _connection()
    if connection.vendor == "postgresql":
        session = PostgresSession(connection, lease=seconds)
        lease = Lease(session, SharedAdvisoryLock(session), relay=relay, seconds=seconds)
        return lease, PostgresListener(session)
    return Lease(LocalSession(connection), SharedLockFile(connection), relay=relay, seconds=seconds), PollingListener()


def _connection() -> Any:
    return connections[router.db_for_write(OutboxMessage)]
