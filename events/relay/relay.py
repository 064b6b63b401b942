"""The relay: outbox → broker. One is active, elected by a lock that dies with its holder; the others stand by."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import structlog
from django.db import Error, close_old_connections, connections
from dramatiq.broker import Broker
from dramatiq.common import compute_backoff

from ..brokers.contract import Courier, EventBroker
from ..repair.announce import announce
from ..repair.reconcile import Reconciler
from ..worker.heartbeat import arrive, beat, leave
from .couriers import courier_for
from .leader import Wakeup, wakeup

log = structlog.get_logger("events.relay")

#: How often a standby asks for the lock, and the longest sleep of the active relay, in seconds.
STANDBY_POLL = 1.0
#: How soon to look again while a transaction that counts on an awake relay is open, in seconds: first, and at most.
SHORT_POLL = (0.001, 0.02)
#: In a rush, after so few rows, the relay lets more gather, so long (in seconds): it is one of those who need the
#: processors, and falling asleep costs some of those who commit a notification, and with it their turn in a queue. An
#: event that comes alone finds it asleep, and never waits for others.
FEW, GATHER = 100, 0.01
#: The first and the longest pause after an error, in milliseconds.
BACKOFF = (500, 15_000)
#: Seconds between heartbeats.
HEARTBEAT = 5.0
#: Seconds between looks for what the broker lost.
RECONCILE = 30.0


class SeatLostError(ConnectionError):
    """The lock that made this relay the active one is gone: its session was ended."""


class Relay:
    """Carries until told to stop. Any error ends a turn; the next begins with new connections after a backoff."""

    def __init__(self, broker: Broker, *, stop: threading.Event) -> None:
        self._broker = broker
        self._stop = stop
        self.active = False
        self._errors = 0
        self._short = SHORT_POLL[0]

    def run(self) -> None:
        """Take turns until stopped."""
        while not self._stop.is_set():
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 - the relay must outlive whatever database and broker do
                self._errors, pause = compute_backoff(self._errors, factor=BACKOFF[0], max_backoff=BACKOFF[1])
                log.warning("relay interrupted", error=repr(error), again_in=pause / 1000)
                self._stop.wait(pause / 1000)

    def _turn(self) -> None:
        seat = wakeup()
        try:
            while not seat.elected():
                if self._stop.wait(STANDBY_POLL):
                    return
            log.info("relay active")
            self.active = True
            try:
                self._work(seat)
            finally:
                self.active = False
            if not self._stop.is_set():
                raise SeatLostError("another relay may be active by now")
        finally:
            seat.close()
            connections.close_all()

    def _work(self, seat: Wakeup) -> None:
        """Carry until stopped or unseated: many in a rush while there are many, else each as it wakes us."""
        courier = courier_for(self._broker, go_on=lambda: self._may_go_on(seat))
        self._short = SHORT_POLL[0]
        try:
            while self._may_go_on(seat):
                self._rush(courier, seat)
                self._doze(courier, seat)
        finally:
            courier.close()

    def _rush(self, courier: Courier, seat: Wakeup) -> None:
        """Carry until nothing is left, and look neither left nor right."""
        while self._may_go_on(seat) and (moved := courier.carry()):
            self._errors = 0
            self._short = SHORT_POLL[0]
            if moved < FEW:
                self._stop.wait(GATHER)

    def _doze(self, courier: Courier, seat: Wakeup) -> None:
        """Sleep, and carry what wakes us, until more comes while we do."""
        with seat.asleep() as asleep:
            while self._may_go_on(seat):
                # At first this finds what was committed before the alarm was set, and did not raise it.
                moved = courier.carry()
                self._errors = 0
                if seat.raised() or (moved and not courier.drained):
                    break
                courier.keep_alive()
                longest = STANDBY_POLL if asleep else self._short
                due = courier.until_due
                seat.wait(min(due, longest) if due and due > 0 else longest)
                self._short = SHORT_POLL[0] if asleep else min(2 * self._short, SHORT_POLL[1])
                if not asleep:
                    break

    def _may_go_on(self, seat: Wakeup) -> bool:
        return not self._stop.is_set() and seat.holds()


class RelayThread:
    """A relay, the process's heartbeat and, where the relay is active, reconcile, as threads of a worker."""

    def __init__(self, broker: Broker, *, kind: str = "worker") -> None:
        self._stop = threading.Event()
        self._kind = kind
        self._broker = broker
        self._relay = Relay(broker, stop=self._stop)
        self._threads = [
            threading.Thread(target=self._relay.run, name="relay", daemon=True),
            threading.Thread(target=self._beat, name="heartbeat", daemon=True),
            threading.Thread(target=self._reconcile, name="reconcile", daemon=True),
        ]

    def start(self) -> None:
        """Announce this process's subscribers and begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, timeout: float = 10.0) -> None:
        """Finish the batch under way and end."""
        self._stop.set()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _beat(self) -> None:
        announced = False
        while True:
            try:
                close_old_connections()
                if not announced:
                    announce()
                    arrive(self._kind)
                    announced = True
                beat(self._kind, relay_active=self._relay.active)
            except Exception as error:  # noqa: BLE001 - a heartbeat that cannot be written is missed, which is its message
                log.warning("heartbeat missed", error=repr(error))
            if self._stop.wait(HEARTBEAT):
                with suppress(Error):
                    leave(self._kind)
                connections.close_all()
                return

    def _reconcile(self) -> None:
        reconciler = None
        while not self._stop.wait(RECONCILE):
            try:
                if not self._relay.active or not isinstance(self._broker, EventBroker):
                    reconciler = None
                    connections.close_all()
                    continue
                close_old_connections()
                reconciler = reconciler or Reconciler(self._broker)
                reconciler.look()
            except Exception as error:  # noqa: BLE001 - what cannot be looked at now is looked at later
                log.warning("reconcile put off", error=repr(error))
        connections.close_all()
