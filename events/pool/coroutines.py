"""CoroutineLoop: the event-loop thread that runs all coroutines of a pool."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from . import connections
from .database_threads import DatabaseThreads
from .errors import TaskTimeoutError
from .execution import Execution
from .handle import TaskHandle

#: New tasks that the loop starts in one turn; then the running ones get their turn.
TASKS_PER_TURN = 256


@dataclass
class _Exit:
    """A SystemExit or KeyboardInterrupt that a coroutine raised, as a value: as an exception it would stop the loop."""

    error: BaseException


class CoroutineLoop:
    """One thread, started by the first task. Many tasks put at once wake the loop once."""

    def __init__(
        self, execution: Execution, *, database_threads: DatabaseThreads, name: str, logger: logging.Logger
    ) -> None:
        self._execution = execution
        self._database_threads = database_threads
        self._name = name
        self._logger = logger
        self._lock = threading.Lock()
        self._inbox: deque[TaskHandle[Any]] = deque()
        self._running: dict[asyncio.Task[Any], TaskHandle[Any]] = {}
        self._context = Context()
        #: The loop will look into the inbox.
        self._scheduled = False
        self._stopping = False
        #: None before the first task, and after `stop` once the last task has ended.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> int:
        """Live threads: the loop's and the database threads."""
        return int(self._thread is not None and self._thread.is_alive()) + self._database_threads.alive

    def is_current_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def put(self, task: TaskHandle[Any]) -> None:
        """Run a coroutine. Raises RuntimeError if the system gives no thread."""
        with self._lock:
            loop = self._loop or self._start()
            self._inbox.append(task)
            if not self._scheduled:
                self._scheduled = True
                loop.call_soon_threadsafe(self._start_tasks, loop)

    def withdraw(self, task: TaskHandle[Any]) -> bool:
        return False  # the loop drops a cancelled task when it reaches it; a search through the inbox could be long

    def interrupt(self, task: TaskHandle[Any]) -> None:
        with self._lock, suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._cancel, task)

    def take_inline(self, task: TaskHandle[Any]) -> Callable[[], None] | None:
        return None  # a coroutine runs on the loop only

    def stop(self) -> None:
        """End the thread once all tasks have ended. Tasks that are put later still run."""
        with self._lock:
            self._stopping = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._stop_if_idle, self._loop)
        self._database_threads.stop()

    def join(self, deadline: float | None) -> None:
        """Wait for the threads to end, at most until `deadline` (by time.monotonic); None for no limit."""
        if self._thread is not None and not self.is_current_thread():
            self._thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        self._database_threads.join(deadline)

    def forget_after_fork(self) -> None:
        """In a forked child: drop all tasks, which are the parent's; the thread exists only there."""
        self._lock = threading.Lock()
        self._inbox.clear()
        self._database_threads.forget_after_fork()

    # The life of the loop ------------------------------------------------------------------------------------------

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._work, args=(loop,), name=f"{self._name}-loop", daemon=True)
        self._loop, self._scheduled = loop, False
        try:
            thread.start()
        except RuntimeError:
            self._loop = None
            loop.close()
            raise
        self._thread = thread
        return loop

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while self._loop is loop:
                try:
                    loop.run_forever()
                except BaseException:  # asyncio raises a SystemExit of a child task or callback here
                    self._logger.exception("a child task or a callback in %s failed", self._name)
            loop.run_until_complete(_cancel_leftovers())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
            connections.close_all()

    def _stop_if_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if self._stopping and not self._inbox and not self._running and self._loop is loop:
                self._loop = None
                loop.stop()

    # On its thread -------------------------------------------------------------------------------------------------

    def _start_tasks(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False  # before the look into the inbox, or a task put now could be missed
        for _ in range(TASKS_PER_TURN):
            if not self._inbox:
                if self._stopping:
                    self._stop_if_idle(loop)
                return
            task = self._inbox.popleft()
            if task.start():
                running = loop.create_task(self._run(task), context=task.context)
                running.add_done_callback(self._settle, context=self._context)
                self._running[running] = task
                task.asyncio_task = running
        self._scheduled = True
        loop.call_soon(self._start_tasks, loop)

    async def _run(self, task: TaskHandle[Any]) -> Any:
        try:
            work = task.call() if task.timeout is None else self._run_limited(task)
            return await (self._database_threads.run(work) if connections.in_use() else work)
        except (SystemExit, KeyboardInterrupt) as error:
            return _Exit(error)

    async def _run_limited(self, task: TaskHandle[Any]) -> Any:
        try:
            async with asyncio.timeout(task.remaining()) as clock:
                return await task.call()
        except TimeoutError as error:
            if clock.expired():
                raise TaskTimeoutError(f"the task ran longer than its {task.timeout} s") from error
            raise

    def _settle(self, running: asyncio.Task[Any]) -> None:
        task = self._running.pop(running)
        task.asyncio_task = None
        try:
            if running.cancelled():
                self._execution.settle(task, error=asyncio.CancelledError())
            elif (error := running.exception()) is not None:
                self._execution.settle(task, error=error)
            elif isinstance(result := running.result(), _Exit):
                self._execution.settle(task, error=result.error)
            else:
                self._execution.settle(task, result=result)
        finally:
            if self._stopping:
                self._stop_if_idle(running.get_loop())

    def _cancel(self, task: TaskHandle[Any]) -> None:
        if task.asyncio_task is not None:
            task.asyncio_task.cancel()


async def _cancel_leftovers() -> None:
    """Cancel the asyncio tasks that the pool's tasks started and did not wait for."""
    if leftovers := asyncio.all_tasks() - {asyncio.current_task()}:
        for leftover in leftovers:
            leftover.cancel()
        await asyncio.wait(leftovers)
