"""DatabaseThreads: the few threads on which a pool's coroutines make their database calls.

Django's async ORM is thread-sensitive: by default all coroutines would share one thread; with one thread each, ten
thousand coroutines would open ten thousand connections. So the pool has a few threads, and a task keeps the thread
that its first database call got.

A pool therefore has at most `max_threads` + DATABASE_THREADS connections, and none between two tasks where
CONN_MAX_AGE is 0. A connection pool of the database driver may be smaller: threads then wait for a connection, at most
as long as the driver's timeout.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, TypeVar

from . import connections
from .threads import WorkerThreads

T = TypeVar("T")

#: Most threads for the database calls of one pool's coroutines.
DATABASE_THREADS = 8


class _DatabaseThread:
    """One thread, started when first used and ended after `idle_timeout` seconds without work."""

    def __init__(self, *, idle_timeout: float | None, name: str, logger: logging.Logger) -> None:
        #: Tasks that use it.
        self.users = 0
        self.worker: WorkerThreads[Callable[[], None]] = WorkerThreads(
            lambda job: job(),
            limit=1,
            idle_timeout=idle_timeout,
            name=name,
            logger=logger,
            on_exit=connections.close_all,
        )


class DatabaseThreads:
    """At most DATABASE_THREADS threads. Each starts when first used; when idle it closes its connections and ends."""

    def __init__(self, *, idle_timeout: float | None, name: str, logger: logging.Logger) -> None:
        self._threads = [
            _DatabaseThread(idle_timeout=idle_timeout, name=f"{name}-db{number}", logger=logger)
            for number in range(DATABASE_THREADS)
        ]

    @property
    def alive(self) -> int:
        """Live threads."""
        return sum(thread.worker.alive for thread in self._threads)

    async def run(self, work: Awaitable[T]) -> T:
        """Await a task's work, with one of the threads for its thread-sensitive calls."""
        from asgiref.sync import ThreadSensitiveContext

        executor = _TaskExecutor(self._threads)
        try:
            async with ThreadSensitiveContext(executor=executor):
                return await work
        finally:
            executor.leave()

    def stop(self) -> None:
        """End each thread once it has no work."""
        for thread in self._threads:
            thread.worker.stop()

    def join(self, deadline: float | None) -> None:
        """Wait for the threads to end, at most until `deadline` (by time.monotonic); None for no limit."""
        for thread in self._threads:
            thread.worker.join(deadline)

    def forget_after_fork(self) -> None:
        """In a forked child: drop all work, which is the parent's; the threads exist only there."""
        for thread in self._threads:
            thread.worker.forget_after_fork()


class _TaskExecutor(Executor):
    """One task's database thread: the first call picks the one with the fewest users. Only for the loop's thread."""

    def __init__(self, threads: list[_DatabaseThread]) -> None:
        self._threads = threads
        self._thread: _DatabaseThread | None = None

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        if self._thread is None:
            self._thread = min(self._threads, key=lambda thread: thread.users)
            self._thread.users += 1
            self._thread.worker.put(connections.close_old)
        future: Future[T] = Future()
        self._thread.worker.put(partial(_run_into, future, partial(fn, *args, **kwargs)))
        return future

    def leave(self) -> None:
        """The task has ended: it no longer counts as a user of its thread."""
        if self._thread is not None:
            self._thread.users -= 1
            self._thread.worker.put(connections.close_old)


def _run_into(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 every error goes to the caller
        future.set_exception(error)
