"""Heartbeat: a process writes every few seconds that it is alive, with its figures.

The figures hold the process's counts, so that all processes add up:

1. A beat is one statement: it replaces the row's counts by the present ones, which only grow.
2. When a process ends in order or is found dead, its counts are folded into one row (`folding.py`).
3. A process that was only silent finds its row gone. It begins a row under a new token, and leaves out what was folded.
4. /metrics answers with what the rows say, after a beat of its own: so no count falls, whichever process answers.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.db import Error, close_old_connections, connections
from django.db.models.functions import Now

from ..db import discard
from ..figures import Values, counted, gauged, plus, to_json
from ..logger import get_logger
from ..pool import get_pool
from .folding import fold_dead, fold_own, folded_of
from .models import Process
from .pool_figures import declare_pool_figures

log = get_logger("events.worker")

#: Seconds between heartbeats.
HEARTBEAT_INTERVAL = 5.0
#: Seconds from a heartbeat that was missed to the next one.
SOON = 1.0

Figures = dict[str, Any]

declare_pool_figures()


class _Counts:
    """The counts of this process. One of its rows carries them, if it has several."""

    def __init__(self) -> None:
        #: Held while a row is written: an older beat must not come after a newer one.
        self.lock = threading.Lock()
        self.carrier: Pulse | None = None
        #: What is folded of them already.
        self.base: Values = {}


_counts = _Counts()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_counts.__init__)  # type: ignore[misc]


class Pulse:
    """The row of this process in one role."""

    def __init__(self, kind: str, *, figures: Callable[[], Figures] = dict) -> None:
        """kind: web, worker or relay. figures: what the row says beyond counts, gauges and the task pool."""
        self._name: dict[str, Any] = {"kind": kind, "host": socket.gethostname(), "pid": os.getpid()}
        self._figures = figures
        self._token = uuid.uuid4()
        self._arrived = False

    def beat(self) -> None:
        """Write the row: one statement, but for the first time and after the row was folded."""
        with _counts.lock:
            self._beat()

    def leave(self) -> None:
        """Delete the row, and keep the counts: a process that ended in order is not a silent one."""
        with _counts.lock:
            told = counted() if self._carries() else {}
            fold_own(self._token, plus(told, _counts.base, sign=-1) if told else {})
            if self._carries():
                _counts.base, _counts.carrier = told, None
            self._token, self._arrived = uuid.uuid4(), False

    def _beat(self) -> None:
        told = self._told(_counts.base)
        if self._arrived and Process.objects.filter(token=self._token).update(beat_at=Now(), figures=told):
            return
        if not self._arrived:
            fold_dead(Process.objects.outdated(**self._name).exclude(token=self._token))
        token, base = self._token, _counts.base
        if (folded := folded_of(token)) is not None:
            # Derived from the folded one: if it is not known whether the row was written, it is written once all the
            # same.
            token = uuid.uuid5(token, "after it was folded")
            base = plus(base, folded) if self._carries() else base
        row = {"beat_at": Now(), "figures": self._told(base)}
        Process.objects.update_or_create(token=token, defaults=row, create_defaults=row | self._name)
        self._token, self._arrived = token, True
        if self._carries():
            _counts.base = base

    def _told(self, base: Values) -> Figures:
        told = self._figures() | {"pool": asdict(get_pool().stats())}
        if self._carries():
            told |= {"counts": to_json(plus(counted(), base, sign=-1)), "gauges": to_json(gauged())}
        return told

    def _carries(self) -> bool:
        _counts.carrier = _counts.carrier or self
        return _counts.carrier is self


def beat_now(kind: str) -> None:
    """Write the present counts of this process, if no beat is under way; a process without a heartbeat gets a row of
    this kind."""
    if _counts.lock.acquire(timeout=SOON):
        try:
            (_counts.carrier or Pulse(kind))._beat()
        finally:
            _counts.lock.release()


class Heartbeat:
    """The thread that beats.

    prepare: called before the first beat, until it succeeds. state: when its value changes, the next beat comes soon.
    """

    def __init__(
        self,
        kind: str,
        *,
        figures: Callable[[], Figures] = dict,
        prepare: Callable[[], object] = lambda: None,
        state: Callable[[], object] | None = None,
    ) -> None:
        self._pulse = Pulse(kind, figures=figures)
        self._prepare = prepare
        self._state = state
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        with _counts.lock:
            _counts.carrier = _counts.carrier or self._pulse
        self._thread.start()

    def stop(self, *, timeout: float) -> None:
        """End, and delete the row; wait for it for so many seconds."""
        self._over.set()
        self._thread.join(max(0.0, timeout))

    def _run(self) -> None:
        prepared = False
        while True:
            try:
                close_old_connections()
                if not prepared:
                    self._prepare()
                    prepared = True
                self._pulse.beat()
                close_old_connections()
                pause = HEARTBEAT_INTERVAL
            except Exception as error:  # noqa: BLE001 - a heartbeat that cannot be written is missed: that is the alarm
                log.warning("heartbeat missed", error=repr(error), again_in=SOON)
                for connection in connections.all(initialized_only=True):
                    discard(connection)
                pause = SOON
            if self._is_over_within(pause):
                with suppress(Error):
                    self._pulse.leave()
                connections.close_all()
                return

    def _is_over_within(self, seconds: float) -> bool:
        if self._state is None:
            return self._over.wait(seconds)
        before, left = self._state(), seconds
        while left > 0 and self._state() == before:
            if self._over.wait(min(left, SOON)):
                return True
            left -= SOON
        return self._over.is_set()
