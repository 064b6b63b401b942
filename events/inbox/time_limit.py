"""Time limit: interrupts a delivery that runs too long.

An interrupt does not reach a thread that waits for the database, so statements have the same limit (see
`record_done` in `records.py`).
"""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager
from typing import Any

from dramatiq.broker import Broker
from dramatiq.middleware import Middleware, TimeLimitExceeded
from dramatiq.threading import raise_thread_exception

#: Seconds between two checks of all limits.
CHECK_INTERVAL = 1.0


class DeliveryTimeLimit(Middleware):
    """As dramatiq's time limit, but per delivery: a dramatiq message may carry a group of them.

    After a guard has ended, nothing interrupts its thread any more.
    """

    def __init__(self) -> None:
        self._deadlines: dict[int, float] = {}
        self._lock = threading.Lock()
        self._watch: threading.Thread | None = None

    @property
    def actor_options(self) -> set[str]:
        return {"time_limit"}

    def after_process_boot(self, broker: Broker, **kwargs: Any) -> None:
        if self._watch is None:
            self._watch = threading.Thread(target=self._enforce, name="time limits", daemon=True)
            self._watch.start()

    def guard(self, milliseconds: int) -> AbstractContextManager[None]:
        """Raise TimeLimitExceeded in the calling thread, at its next Python instruction, if it stays inside for longer
        than `milliseconds`; and again at the end, if that was caught."""
        return _Guard(self._deadlines, self._lock, milliseconds / 1000)

    def _enforce(self) -> None:
        while True:
            time.sleep(CHECK_INTERVAL)
            now = time.monotonic()
            with self._lock:
                for thread in [thread for thread, deadline in self._deadlines.items() if deadline <= now]:
                    del self._deadlines[thread]
                    raise_thread_exception(thread, TimeLimitExceeded)  # type: ignore[no-untyped-call]


class _Guard(AbstractContextManager[None]):
    """A class, since every single event enters one: a generator takes three times as long."""

    __slots__ = ("_deadlines", "_lock", "_seconds", "_thread")

    def __init__(self, deadlines: dict[int, float], lock: threading.Lock, seconds: float) -> None:
        self._deadlines, self._lock, self._seconds = deadlines, lock, seconds
        self._thread = threading.get_ident()

    def __enter__(self) -> None:
        with self._lock:
            self._deadlines[self._thread] = time.monotonic() + self._seconds

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        with self._lock:
            is_in_time = self._deadlines.pop(self._thread, None) is not None
        if kind is None and not is_in_time:
            raise TimeLimitExceeded  # what was raised in the thread was caught there
