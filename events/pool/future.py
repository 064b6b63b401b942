"""LightFuture: a Future that is cheap until somebody waits for it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

PENDING, RUNNING, FINISHED = "PENDING", "RUNNING", "FINISHED"

#: Held to make a condition variable, and to change the state while there is none.
_lock = threading.RLock()


class LightFuture(Future[T]):
    """A Future whose condition variable is made by the first call that waits for it, adds a callback or cancels it.

    The standard Future makes it at once, with ten objects that the garbage collector tracks: with thousands of tasks
    under way that takes half the time of a task.
    """

    def __init__(self) -> None:
        self._state = PENDING
        self._result = self._exception = None

    def __getattr__(self, name: str) -> Any:
        if name != "_condition":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        with _lock:
            if "_condition" not in self.__dict__:
                self._waiters: list[Any] = []
                self._done_callbacks: list[Any] = []
                self._condition = threading.Condition()
        return self.__dict__["_condition"]

    def done(self) -> bool:
        return self._state not in (PENDING, RUNNING)

    def running(self) -> bool:
        return self._state == RUNNING

    def cancelled(self) -> bool:
        return self.done() and self._state != FINISHED

    def set_running_or_notify_cancel(self) -> bool:
        with _lock:
            if self._state == PENDING and "_condition" not in self.__dict__:
                self._state = RUNNING
                return True
        return super().set_running_or_notify_cancel()

    def set_result(self, result: T) -> None:
        with _lock:
            if self._state == RUNNING and "_condition" not in self.__dict__:
                self._result, self._state = result, FINISHED
                return
        super().set_result(result)

    def set_exception(self, exception: BaseException | None) -> None:
        with _lock:
            if self._state == RUNNING and "_condition" not in self.__dict__:
                self._exception, self._state = exception, FINISHED
                return
        super().set_exception(exception)

    def set_cancelled(self) -> None:
        """End a running task as cancelled. Future has no method for it: it cancels only what has not started."""
        with self._condition:
            self._state = PENDING
        super().cancel()
        self.set_running_or_notify_cancel()


def _renew_lock_after_fork() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock_after_fork)
