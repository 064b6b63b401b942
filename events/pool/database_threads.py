"""DatabaseLanes: the few threads on which a pool's coroutines talk to the database.

Django's async ORM runs thread-sensitively: left alone, all coroutines would share one thread; with a thread of its own
each, ten thousand coroutines would open ten thousand connections. So a task gets one of a few lanes, and keeps it.

A pool so has `max_threads` + LANES connections at most, and none between two tasks where CONN_MAX_AGE is 0. Where the
database driver pools them, its pool may be smaller: threads then take turns, each waiting up to the driver's time-out.
"""

import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, TypeVar

from . import connections
from .threads import WorkerThreads

T = TypeVar("T")

LANES = 8


class _Lane:
    def __init__(self, *, idle_timeout: float | None, name: str, logger: logging.Logger) -> None:
        self.users = 0
        self.threads: WorkerThreads[Callable[[], None]] = WorkerThreads(
            lambda job: job(),
            limit=1,
            idle_timeout=idle_timeout,
            name=name,
            logger=logger,
            on_exit=connections.close_all,
        )


class DatabaseLanes:
    """At most `LANES` threads, each started by its first use and gone, connection and all, when idle."""

    def __init__(self, *, idle_timeout: float | None, name: str, logger: logging.Logger) -> None:
        self._lanes = [_Lane(idle_timeout=idle_timeout, name=f"{name}-db{i}", logger=logger) for i in range(LANES)]

    @property
    def alive(self) -> int:
        return sum(lane.threads.alive for lane in self._lanes)

    async def run(self, work: Awaitable[T]) -> T:
        """Await the work of a task with a lane for its thread-sensitive calls."""
        from asgiref.sync import ThreadSensitiveContext

        executor = LaneExecutor(self._lanes)
        try:
            async with ThreadSensitiveContext(executor=executor):
                return await work
        finally:
            executor.leave()

    def stop(self) -> None:
        for lane in self._lanes:
            lane.threads.stop()

    def join(self, deadline: float | None) -> None:
        for lane in self._lanes:
            lane.threads.join(deadline)

    def disown(self) -> None:
        for lane in self._lanes:
            lane.threads.disown()


class LaneExecutor(Executor):
    """One task's way to its lane: the one least used when the task first needs it. Only for the loop's thread."""

    def __init__(self, lanes: list[_Lane]) -> None:
        self._lanes = lanes
        self._lane: _Lane | None = None

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        if self._lane is None:
            self._lane = min(self._lanes, key=lambda lane: lane.users)
            self._lane.users += 1
            self._lane.threads.put(connections.close_old)
        future: Future[T] = Future()
        self._lane.threads.put(partial(_fulfil, future, partial(fn, *args, **kwargs)))
        return future

    def leave(self) -> None:
        if self._lane is not None:
            self._lane.users -= 1
            self._lane.threads.put(connections.close_old)


def _fulfil(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 it is the caller's, whatever it is
        future.set_exception(error)
