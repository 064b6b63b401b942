"""Guard: a small process that ends the others when their supervisor was killed, also those that hear no signal.

It knows their numbers from the supervisor, by a pipe. At the end of the pipe it sends SIGTERM, and after a time
SIGKILL: a process in which some code holds the interpreter's lock, or that was stopped, would stay for ever.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

from ..logger import get_logger

log = get_logger("events.worker")

#: Linux: the signal that a process gets when its parent ends (prctl).
PR_SET_PDEATHSIG = 1
#: Seconds between two looks at the processes that should end.
LOOK = 0.2
#: Seconds that the guard itself gets to end.
GUARD_GRACE = 2.0


class Guard:
    """The supervisor's end of the pipe, and the process behind it."""

    def __init__(self, *, timeout: float) -> None:
        """timeout: seconds between SIGTERM and SIGKILL when the supervisor was killed."""
        self._timeout = timeout
        self._writer: int | None = None
        self.pid: int | None = None

    def start(self, pids: Iterable[int]) -> None:
        """Start the process; it guards these from the beginning. Signals must be blocked (`signals.block`)."""
        self.close()
        reader, self._writer = os.pipe()
        pid = os.fork()
        if pid:
            self.pid = pid
            os.close(reader)
            return
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # its supervisor's end is its end
            self.close()
            _guard(reader, set(pids), timeout=self._timeout)
        finally:
            os._exit(0)

    def watch(self, pid: int) -> None:
        """End this process, too, if the supervisor is killed."""
        self._tell(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """This process has ended."""
        self._tell(f"-{pid}\n")

    def close(self) -> None:
        """Let go of the pipe; a forked process does so first, or the guard would wait for its end, too."""
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None

    def stop(self) -> None:
        """End the guard. It ends what it still guards."""
        self.close()
        deadline = time.monotonic() + GUARD_GRACE
        while self.pid is not None:
            with suppress(ChildProcessError):
                ended, _ = os.waitpid(self.pid, os.WNOHANG)
                if not ended:
                    if time.monotonic() > deadline:
                        os.kill(self.pid, signal.SIGKILL)
                    time.sleep(0.01)
                    continue
            self.pid = None

    def _tell(self, line: str) -> None:
        if self._writer is not None:
            with suppress(BrokenPipeError):  # it has just ended; the next one is told when it starts
                os.write(self._writer, line.encode())


def end_with_parent(parent: int) -> None:
    """Ask for SIGTERM when the parent ends: Linux has that, and elsewhere the guard sends it. Raises SystemExit if the
    parent has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(0)


class _Guarded:
    """A process, known by a descriptor where the system has one: its number may be another's by the time it counts."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor: int | None = None
        if sys.platform == "linux":
            with suppress(OSError):  # an old kernel, or it has ended
                self._descriptor = os.pidfd_open(pid)

    def send(self, number: int) -> bool:
        """Send a signal; False if the process has ended. Signal 0 only asks."""
        try:
            if sys.platform == "linux" and self._descriptor is not None:
                signal.pidfd_send_signal(self._descriptor, number)
            else:
                os.kill(self._pid, number)
        except ProcessLookupError:
            return False
        return True

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def _guard(reader: int, pids: set[int], *, timeout: float) -> None:
    guarded = {pid: _Guarded(pid) for pid in pids}
    with os.fdopen(reader) as lines:
        for line in lines:
            pid = int(line[1:])
            if line[0] == "+":
                guarded[pid] = _Guarded(pid)
            elif one := guarded.pop(pid, None):
                one.close()
    if not guarded:
        return
    log.error("supervisor killed: its processes end", pids=sorted(guarded))
    for number in (signal.SIGTERM, signal.SIGCONT):
        for one in guarded.values():
            one.send(number)
    deadline = time.monotonic() + timeout
    while guarded := {pid: one for pid, one in guarded.items() if one.send(0)}:
        if time.monotonic() > deadline:
            log.error("processes killed that did not end", pids=sorted(guarded), after=timeout)
            for one in guarded.values():
                one.send(signal.SIGKILL)
            return
        time.sleep(LOOK)
