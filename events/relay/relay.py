"""The relay: outbox → broker. One is active, elected by a lock that ends with its holder; the others stand by.

How the active relay sleeps and wakes, on PostgreSQL (`_sleep`, `outbox/notify.py`):

    relay                                              a transaction that emits
    1. carry until the outbox is drained
    2. take the wake lock (WAKE_LOCK, exclusive)
    3. carry once more: rows that were committed
       before step 2 sent no notification
    4. wait for a notification                          writes its rows; does not get the wake lock
                                                        commits, and with it the notification
    5. carry what was committed; more rows: give the
       wake lock back and go to 1; else go to 4

A transaction that got the wake lock (shared) before step 2 keeps the relay from taking it: `asleep()` yields False, and
the relay looks again after SHORT_POLL instead of waiting for a notification that will not come.
"""

from __future__ import annotations

import threading

from django.db import connections, router
from dramatiq.common import compute_backoff

from ..brokers.contract import RECONNECT_BACKOFF, Courier, EventBroker
from ..logger import get_logger
from ..outbox.models import OutboxMessage
from .leader import AdvisoryLock, Leadership, LockFile
from .listen import Listener, PollingListener, PostgresListener
from .session import PostgresSession

log = get_logger("events.relay")

#: Seconds between two attempts of a standby to become the leader, and the longest sleep of the active relay.
STANDBY_POLL = 1.0
#: Seconds until the relay looks again while a transaction that saw it awake is open: at first, at most.
SHORT_POLL = (0.001, 0.02)
#: After fewer than 100 rows the relay lets more gather for 0.01 s. It competes for the processors, and each time it
#: falls asleep some transactions must send a notification, which makes their commits queue. A single event finds the
#: relay asleep and does not wait for others.
FEW_ROWS, GATHER = 100, 0.01


class LeadershipLostError(ConnectionError):
    """The lock that made this relay the active one is gone: its session was ended."""


class Relay:
    """Carries until it is stopped. Any error ends a term; the next term begins with new connections, after a
    backoff."""

    def __init__(self, broker: EventBroker, *, stop: threading.Event) -> None:
        self._broker = broker
        self._stop = stop
        self.active = False
        self._errors = 0
        self._short_poll = SHORT_POLL[0]

    def run(self) -> None:
        """Serve term after term until stopped."""
        while not self._stop.is_set():
            try:
                self._serve_term()
            except Exception as error:  # noqa: BLE001 - the relay must outlive every error of database and broker
                self._errors, pause = compute_backoff(
                    self._errors, factor=RECONNECT_BACKOFF[0], max_backoff=RECONNECT_BACKOFF[1]
                )
                log.warning("relay interrupted", error=repr(error), again_in=pause / 1000)
                self._stop.wait(pause / 1000)

    def _serve_term(self) -> None:
        leadership, listener = leadership_and_listener()
        try:
            while not leadership.acquire():
                if self._stop.wait(STANDBY_POLL):
                    return
            listener.start()
            log.info("relay active")
            self.active = True
            try:
                self._work(leadership, listener)
            finally:
                self.active = False
            if not self._stop.is_set():
                raise LeadershipLostError("another relay may be active by now")
        finally:
            leadership.release()
            connections.close_all()

    def _work(self, leadership: Leadership, listener: Listener) -> None:
        """Carry until stopped, or until the leadership is lost."""
        courier = self._broker.courier(go_on=lambda: self._may_go_on(leadership))
        self._short_poll = SHORT_POLL[0]
        try:
            while self._may_go_on(leadership):
                self._drain(courier, leadership)
                self._sleep(courier, leadership, listener)
        finally:
            courier.close()

    def _drain(self, courier: Courier, leadership: Leadership) -> None:
        """Carry until the outbox is empty."""
        while self._may_go_on(leadership) and (moved := courier.carry()):
            self._errors = 0
            self._short_poll = SHORT_POLL[0]
            if moved < FEW_ROWS:
                self._stop.wait(GATHER)

    def _sleep(self, courier: Courier, leadership: Leadership, listener: Listener) -> None:
        """Sleep, and carry what wakes the relay, until more rows come meanwhile (steps 2 to 5 above)."""
        with listener.asleep() as asleep:
            while self._may_go_on(leadership):
                moved = courier.carry()
                self._errors = 0
                if listener.notified() or (moved and not courier.drained):
                    break
                courier.keep_alive()
                longest = STANDBY_POLL if asleep else self._short_poll
                until_due = courier.seconds_until_due
                listener.wait(min(until_due, longest) if until_due and until_due > 0 else longest)
                self._short_poll = SHORT_POLL[0] if asleep else min(2 * self._short_poll, SHORT_POLL[1])
                if not asleep:
                    break

    def _may_go_on(self, leadership: Leadership) -> bool:
        return not self._stop.is_set() and leadership.held()


def leadership_and_listener() -> tuple[Leadership, Listener]:
    """Those that fit the outbox's database. On PostgreSQL they share one session."""
    connection = connections[router.db_for_write(OutboxMessage)]
    if connection.vendor == "postgresql":
        session = PostgresSession(connection)
        return AdvisoryLock(session), PostgresListener(session)
    return LockFile(connection), PollingListener()
