"""CoroutineLoop: the event-loop thread that runs all coroutines of a pool."""

import asyncio
import logging
import threading
import time
from collections import deque
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from . import connections
from .database_threads import DatabaseLanes
from .errors import TaskTimeoutError
from .execution import Execution
from .handle import TaskHandle

#: How many new tasks the loop takes up before it looks after the running ones again.
BATCH = 256


@dataclass
class _Exit:
    """What a coroutine raised to end the process: as an exception it would end the loop."""

    error: BaseException


class CoroutineLoop:
    """One thread, started by the first task. A burst of tasks from other threads costs one wake-up of the loop."""

    def __init__(self, execution: Execution, *, lanes: DatabaseLanes, name: str, logger: logging.Logger) -> None:
        self._execution = execution
        self._lanes = lanes
        self._name = name
        self._logger = logger
        self._lock = threading.Lock()
        self._inbox: deque[TaskHandle[Any]] = deque()
        self._running: dict[asyncio.Task[Any], TaskHandle[Any]] = {}
        self._context = Context()
        self._scheduled = False
        self._stopping = False
        #: None before the first task and once the last one is done after `stop`.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> int:
        """Threads that exist: the loop's and those of the database lanes."""
        return int(self._thread is not None and self._thread.is_alive()) + self._lanes.alive

    def is_current_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def put(self, task: TaskHandle[Any]) -> None:
        """Have a coroutine run. Raises RuntimeError if the system gives no thread."""
        with self._lock:
            loop = self._loop or self._start()
            self._inbox.append(task)
            if not self._scheduled:
                self._scheduled = True
                loop.call_soon_threadsafe(self._take_up, loop)

    def withdraw(self, task: TaskHandle[Any]) -> bool:
        return False  # the loop comes by at once, and a search through its inbox could be long

    def interrupt(self, task: TaskHandle[Any]) -> None:
        with self._lock, suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._cancel, task)

    def stop(self) -> None:
        """Let the thread go as soon as nothing is left to do. Work that still comes is done, too."""
        with self._lock:
            self._stopping = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._stop_if_idle, self._loop)
        self._lanes.stop()

    def join(self, deadline: float | None) -> None:
        """Wait for the threads to end, but no longer than `deadline` (by time.monotonic)."""
        if self._thread is not None and not self.is_current_thread():
            self._thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        self._lanes.join(deadline)

    def disown(self) -> None:
        """After a fork, in the child: the thread is gone, and its tasks are the parent's."""
        self._lock = threading.Lock()
        self._inbox.clear()
        self._lanes.disown()

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
                except BaseException:  # asyncio lets a SystemExit of any child task out of here
                    self._logger.exception("a child task or a callback in %s failed", self._name)
            loop.run_until_complete(_end_leftovers())
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

    def _take_up(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False  # before the look into the inbox, or a task that comes now could go unseen
        for _ in range(BATCH):
            if not self._inbox:
                if self._stopping:
                    self._stop_if_idle(loop)
                return
            task = self._inbox.popleft()
            if task.start():
                running = loop.create_task(self._run(task), context=task.context)
                running.add_done_callback(self._ended, context=self._context)
                self._running[running] = task
                task.running_as = running
        self._scheduled = True
        loop.call_soon(self._take_up, loop)

    async def _run(self, task: TaskHandle[Any]) -> Any:
        try:
            work = task.call() if task.timeout is None else self._run_limited(task)
            return await (self._lanes.run(work) if connections.in_use() else work)
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

    def _ended(self, running: asyncio.Task[Any]) -> None:
        task = self._running.pop(running)
        task.running_as = None
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
        if task.running_as is not None:
            task.running_as.cancel()


async def _end_leftovers() -> None:
    """Cancel what the tasks started on the loop and left behind."""
    if leftovers := asyncio.all_tasks() - {asyncio.current_task()}:
        for leftover in leftovers:
            leftover.cancel()
        await asyncio.wait(leftovers)
