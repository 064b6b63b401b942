"""Signals: a process reads its signals one after the other, where it waits for them."""

from __future__ import annotations

import os
import select
import signal
from typing import Any

#: What a supervisor and its processes handle.
HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Signals:
    """Collects the given signals from now on, in the main thread. A handler could meet a lock that the main thread
    holds; a pipe has none."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _is_written_to_the_pipe)

    def wait(self, seconds: float | None = None) -> set[int]:
        """The signals that have come since the last call. Without any, wait for one, or for so many seconds."""
        select.select([self._reader], [], [], seconds)
        try:
            return set(os.read(self._reader, 4096))
        except BlockingIOError:
            return set()

    def close(self) -> None:
        """Collect no more. The handlers stay as they are."""
        signal.set_wakeup_fd(-1)
        os.close(self._reader)
        os.close(self._writer)


def block() -> None:
    """Hold back the signals that are handled, also over an exec, until `unblock`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)


def unblock() -> None:
    """Deliver the signals that were held back, and all others from now on."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


def _is_written_to_the_pipe(*_: Any) -> None:
    """A signal whose handler is Python's is written to the wake-up descriptor."""
