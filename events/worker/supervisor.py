"""Supervisor: starts the processes of one `rundramatiq`, and each again when it ends.

It has no threads and no connections of its own, so it can fork: the processes share its memory, and nothing that they
do can stop it. SIGTERM and SIGINT end all in order, a second one hurries; SIGHUP ends all in order, then the caller
starts again with the new code. A guard ends the processes of a supervisor that is killed.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import current_process
from typing import NamedTuple

from ..db import name_sessions
from ..logger import get_logger
from .guard import Guard, end_with_parent
from .signals import HANDLED, Signals, block, unblock

log = get_logger("events.worker")

#: Seconds before a process is started again: at once, then 1, 2, 4, … up to this.
LONGEST_PAUSE = 30.0
#: After so many seconds of life a process counts as healthy: the next restart is at once.
HEALTHY = 60.0
#: Seconds that a process gets beyond the worker's timeout, for the pool and the connections.
LAST_STEPS = 10.0
#: Seconds from the second SIGTERM or SIGINT until what still runs is killed.
HURRY = 3.0
#: Seconds from SIGKILL until the supervisor waits no longer.
KILL_GRACE = 5.0
#: What tells a supervisor to end.
ENDING = {signal.SIGTERM, signal.SIGINT}
#: The exit codes, as dramatiq has them: in order; killed.
ENDED, KILLED = 0, 1

#: What a process does; it gets its signals (SIGTERM and SIGHUP mean: end) and returns the exit code.
Task = Callable[[Signals], int]


class Outcome(NamedTuple):
    """How a supervisor ended: with which exit code, and whether it is to start again with new code."""

    code: int
    reload: bool


@dataclass(slots=True)
class Child:
    """One of the processes, in all its lives."""

    name: str
    task: Task
    pid: int | None = None
    #: The number of ends since it was healthy.
    ends: int = 0
    #: By time.monotonic: when this life began, and when the next is due.
    started: float = 0.0
    due: float = field(default_factory=time.monotonic)

    def ended(self) -> float:
        """Note the end of this life; returns the pause before the next, in seconds."""
        now = time.monotonic()
        if now - self.started >= HEALTHY:
            self.ends = 0
        pause = min(2.0 ** (self.ends - 1), LONGEST_PAUSE) if self.ends else 0.0
        self.pid, self.ends, self.due = None, self.ends + 1, now + pause
        return pause


class Supervisor:
    """Keeps the processes running, until it is told to end."""

    def __init__(self, tasks: Mapping[str, Task], *, timeout: float, spawn: Callable[[str], int] | None = None) -> None:
        """timeout: seconds that a worker gets to finish what runs.
        spawn: starts the process of this name by itself and returns its number; None: by a fork."""
        self._children = [Child(name, task) for name, task in tasks.items()]
        self._timeout = timeout + LAST_STEPS
        self._spawn = spawn
        self._guard = Guard(timeout=self._timeout)

    def run(self) -> Outcome:
        """Serve until told to end. Call it in the main thread."""
        sys.stdout.flush()  # or each process would write what is in the buffer
        gc.collect()
        gc.freeze()  # the collector would write to the memory that the processes share
        self._signals = Signals(*HANDLED)
        unblock()
        log.info("supervisor ready", children=[child.name for child in self._children])
        try:
            told: set[int] = set()
            while not told:
                self._start_due()
                told = self._signals.wait(self._until_due()) & {*ENDING, signal.SIGHUP}
                for child, pid, code in self._reap():
                    how = {"signal": signal.Signals(-code).name} if code < 0 else {"code": code}
                    log.error("process ended by itself", child=child.name, child_pid=pid, **how, again_in=child.ended())
            outcome = self._stop(reload=not told & ENDING)
        finally:
            self._guard.stop()
            self._signals.close()
        log.info("supervisor stopped", code=outcome.code, reload=outcome.reload)
        return outcome

    # Starting ---------------------------------------------------------------------------------------------------------

    def _until_due(self) -> float | None:
        """Seconds until something is to be started; None if nothing is."""
        due = [child.due for child in self._children if child.pid is None]
        if self._guard.pid is None:
            due.append(time.monotonic() + 1)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start_due(self) -> None:
        if self._guard.pid is None:
            with signals_blocked(), _failure_logged("guard"):
                self._guard.start(child.pid for child in self._children if child.pid)
        for child in self._children:
            if child.pid is None and child.due <= time.monotonic():
                child.started = time.monotonic()
                with _failure_logged(child.name):
                    child.pid = self._spawn(child.name) if self._spawn else self._fork(child)
                if child.pid is None:
                    child.ended()
                else:
                    self._guard.watch(child.pid)
                    log.info("process started", child=child.name, child_pid=child.pid)

    def _fork(self, child: Child) -> int:
        supervisor = os.getpid()
        with signals_blocked():
            if pid := os.fork():
                return pid
            code = KILLED
            try:
                self._signals.close()
                self._guard.close()
                code = live(child.name, child.task, parent=supervisor)
            finally:
                os._exit(code)

    # Ending -----------------------------------------------------------------------------------------------------------

    def _reap(self) -> list[tuple[Child, int, int]]:
        """The processes that have ended, with their numbers and exit codes. As a container's first process, the
        supervisor also takes what its processes left behind."""
        found = []
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, code = ended[0], os.waitstatus_to_exitcode(ended[1])
                if pid == self._guard.pid:
                    self._guard.pid = None
                    log.warning("guard ended by itself: another starts", child_pid=pid)
                for child in self._children:
                    if child.pid == pid:
                        self._guard.forget(pid)
                        child.pid = None
                        found.append((child, pid, code))
        return found

    def _stop(self, *, reload: bool) -> Outcome:
        """End all processes in order; kill those that do not end in time."""
        result, deadline = ENDED, time.monotonic() + self._timeout
        log.info("processes end", reload=reload, pids=self._send(signal.SIGTERM))
        self._send(signal.SIGCONT)  # one that was stopped could not end
        while any(child.pid for child in self._children):
            left = deadline - time.monotonic()
            if left <= -KILL_GRACE:
                return Outcome(KILLED, reload)  # the kernel holds it
            if left <= 0:
                log.error("processes killed that did not end", pids=self._send(signal.SIGKILL))
            if self._signals.wait(max(0.1, min(left, 1.0))) & ENDING:
                reload, deadline = False, min(deadline, time.monotonic() + HURRY)
            for _, _, code in self._reap():
                result = result or (KILLED if code < 0 else code)
        return Outcome(result, reload)

    def _send(self, number: signal.Signals) -> list[int]:
        pids = [child.pid for child in self._children if child.pid is not None]
        for pid in pids:
            os.kill(pid, number)
        return pids


def live(name: str, task: Task, *, parent: int) -> int:
    """Do the task of a process that was just made, with the signals blocked; returns its exit code."""
    name_sessions(f"{name.split()[0]} {os.getpid()}")
    current_process().name = name  # each line of the log has it
    signals = Signals(signal.SIGTERM, signal.SIGHUP)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the supervisor, too, and it passes it on
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    end_with_parent(parent)
    unblock()
    try:
        code = task(signals)
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except BaseException as error:
        log.error("process failed", error=repr(error), exc_info=True)
        code = KILLED
    logging.shutdown()
    sys.stdout.flush()
    return code


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block while a process is made: it must not take a signal with its parent's handlers."""
    block()
    try:
        yield
    finally:
        unblock()


@contextmanager
def _failure_logged(name: str) -> Iterator[None]:
    """Log that the system had no memory or no number for a process. Later it may have."""
    try:
        yield
    except OSError as error:
        log.error("process not started", child=name, error=repr(error))
