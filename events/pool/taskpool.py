"""TaskPool: functions on few threads, coroutines on one event loop, all under one count."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, ParamSpec, TypeVar

from . import connections
from .admission import Admission
from .coroutines import CoroutineLoop
from .database_threads import DatabaseThreads
from .errors import PoolDeadlockError
from .execution import Execution, OnError, is_coroutine_function
from .handle import Runner, TaskHandle, current, current_task
from .stats import PoolStats
from .threads import WorkerThreads
from .types import Lane

P = ParamSpec("P")
T = TypeVar("T")

#: Most worker threads of a pool whose `max_threads` is not given.
DEFAULT_MAX_THREADS = 64


class TaskPool(Executor):
    """A bounded pool: at most `size` tasks at once, and no queue behind them.

    Submitting to a full pool waits until a slot is free, in order of arrival, so work that cannot be done yet stays
    with its source. Plain functions run on at most `max_threads` threads, coroutine functions on one event-loop
    thread. Threads start when there is work and are daemons: `close`, or leaving a `with` block, waits for the tasks.

    A task that raises, even SystemExit, ends alone: its handle gets the error, the error is logged and given to
    `on_error`, and the task is not run again. A task runs in a copy of the submitter's context variables.

    A task whose wait for a slot or for a task of its own pool could never end gets PoolDeadlockError instead. Two waits
    are not detected: tasks of two pools that wait for each other, and waits in threads that a task started itself.
    Give these a limit (`wait_timeout`, `result(timeout)`, `asyncio.timeout`).

    size: most tasks at once, including those that are ready to start.
    max_threads: most threads for functions; by default `size`, but at most 64.
    max_waiting: most submitters that wait at a time, 0 for no limit; one more gets PoolOverloadedError.
    nonblocking: submitting never waits; a full pool raises PoolOverloadedError.
    idle_timeout: seconds after which an idle thread ends; None keeps it.
    prestart: start all threads now.
    on_error: called as `on_error(handle, error)` in the task's thread, after the log entry, before the handle is done.
    logger: logs the failures; by default the logger `events.pool`.
    name: the pool's name in its threads' names, errors and log entries.

    Raises ValueError for an argument out of range.
    """

    def __init__(
        self,
        size: int = 10_000,
        *,
        max_threads: int | None = None,
        max_waiting: int = 0,
        nonblocking: bool = False,
        idle_timeout: float | None = 10.0,
        prestart: bool = False,
        on_error: OnError | None = None,
        logger: logging.Logger | None = None,
        name: str = "taskpool",
    ) -> None:
        _check_at_least(1, size=size, max_threads=max_threads)
        _check_at_least(0, max_waiting=max_waiting, idle_timeout=idle_timeout)
        self.name = name
        self._max_threads = max_threads
        self._idle_timeout = idle_timeout
        self._logger = logger or logging.getLogger("events.pool")
        self._execution = Execution(name, logger=self._logger, on_error=on_error)
        self._new_admission = partial(
            Admission,
            name,
            max_waiting=max_waiting,
            nonblocking=nonblocking,
            workers=lambda: self._threads.capacity,
            check_may_block=self._check_may_block,
        )
        self._cancelling = False
        self._change_lock = threading.Lock()
        self._admission = self._new_admission(size=size, threads=self._threads_for(size))
        self._new_runners()
        _pools.add(self)
        if prestart:
            self._threads.prestart()

    # Submitting ----------------------------------------------------------------------------------------------------

    def submit(self, fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> TaskHandle[Any]:
        """Run `fn(*args, **kwargs)` in the pool; waits for a slot, not for the task.

        Raises PoolClosedError; PoolOverloadedError if the pool is full and the call may not wait; PoolDeadlockError if
        the wait could never end, as in the only task of a full pool, or would block the pool's own event loop.
        """
        return self._submit(fn, args, kwargs)

    def try_submit(self, fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> TaskHandle[Any]:
        """As `submit`, but never waits: PoolOverloadedError if the pool is full, PoolClosedError if it is closed."""
        return self._submit(fn, args, kwargs, wait=False)

    async def asubmit(self, fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> TaskHandle[Any]:
        """As `submit`, for callers on an event loop, their own or the pool's: it waits without blocking the loop.

        Returns the handle once the task has a slot; `await handle` gives the result. If the wait is cancelled, the task
        never runs and takes no slot. In a task of this pool, and in the asyncio tasks that it started, the wait counts
        as that task's.
        """
        lane, runner = self._lane_and_runner(fn)
        await self._admission.acquire_async(lane)
        return self._start(TaskHandle((fn, args, kwargs), lane=lane, runner=runner), runner)

    def spawn(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        wait_timeout: float | None = None,
        timeout: float | None = None,
    ) -> TaskHandle[Any]:
        """As `submit`, with limits in seconds: `wait_timeout` for the wait for a slot, `timeout` for the task itself.

        Raises SubmitTimeoutError if no slot became free in time; the task then never runs. A task that runs longer than
        `timeout` fails with TaskTimeoutError: a coroutine at once, a function at its next `check_cancelled()`.
        """
        return self._submit(fn, tuple(args), dict(kwargs or {}), wait_timeout=wait_timeout, timeout=timeout)

    def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(*args, **kwargs)` in the calling thread and context, in a slot of the pool; waits as `submit` does.

        Returns the result of `fn`, or raises its error without logging it. Raises TypeError for a coroutine function,
        and the same errors as `submit`.
        """
        if is_coroutine_function(fn):
            raise TypeError("run() calls a function in this thread: wrap a coroutine function with async_to_sync()")
        lane = self._admission.callers
        self._admission.acquire(lane, may_wait=self._may_wait)
        task: TaskHandle[T] = TaskHandle((fn, args, kwargs), lane=lane)
        task.start()  # before it is registered: close() could cancel a registered task that has not started
        self._register(task)
        with task.waited_for():
            token = current.set(task)
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                current.reset(token)
                self._execution.settle(task, error=error, report=False)
                raise
            current.reset(token)
            self._execution.settle(task, result=result)
            return result

    # Numbers -------------------------------------------------------------------------------------------------------

    @property
    def running(self) -> int:
        """Slots held by tasks that run or are ready to start."""
        return self._admission.running

    @property
    def free(self) -> int:
        """Slots that no task holds, never negative."""
        return self._admission.free

    @property
    def waiting(self) -> int:
        """Submitters that wait for a slot."""
        return self._admission.waiting

    @property
    def capacity(self) -> int:
        """Slots in all."""
        return self._admission.size

    @property
    def closed(self) -> bool:
        """Whether the pool takes no tasks."""
        return self._admission.closed

    def stats(self) -> PoolStats:
        """All the numbers at one moment."""
        return self._admission.stats(threads=self._threads.alive + self._coroutines.alive)

    # Changing, ending, starting again ------------------------------------------------------------------------------

    def resize(self, size: int, *, max_threads: int | None = None) -> None:
        """Change the number of slots, and with it the number of threads, unless `max_threads` was ever given.

        More slots admit waiting submitters at once. With fewer, running tasks finish, and no task is admitted until the
        pool is below its new size. Raises ValueError for a number below 1.
        """
        _check_at_least(1, size=size, max_threads=max_threads)
        with self._change_lock:
            self._max_threads = max_threads or self._max_threads
            self._threads.resize(self._threads_for(size))
            self._admission.resize(size, self._threads_for(size))

    def close(self, timeout: float | None = None, *, cancel_grace: float = 1.0) -> bool:
        """Refuse new and waiting submitters, and wait for the tasks that hold a slot: True if all finished.

        After `timeout` seconds (None: no limit) the remaining tasks are cancelled and get `cancel_grace` seconds more
        to stop; the result is then False. A closed pool may be closed again, and several threads may close it at once.
        Raises PoolDeadlockError inside a task of this pool, which would wait for itself.
        """
        self._check_not_in_task("close()")
        deadline = None if timeout is None else time.monotonic() + timeout + cancel_grace
        runners = self._threads, self._coroutines
        self._admission.close()
        drained = self._admission.wait_drained(timeout)
        if not drained:
            self._cancelling = True
            for task in list(self._admission.tasks):
                task.cancel()
            self._admission.wait_drained(cancel_grace)
        for runner in runners:
            runner.stop()
        if not self._admission.running:
            for runner in runners:
                runner.join(deadline)
        return drained

    async def aclose(self, timeout: float | None = None, *, cancel_grace: float = 1.0) -> bool:
        """As `close`, without blocking the caller's event loop."""
        self._check_not_in_task("aclose()")
        closed: Future[bool] = Future()
        # A daemon thread, not to_thread: a stuck task must not keep the process from ending.
        threading.Thread(
            target=lambda: closed.set_result(self.close(timeout, cancel_grace=cancel_grace)),
            name=f"{self.name}-aclose",
            daemon=True,
        ).start()
        return await asyncio.shield(asyncio.wrap_future(closed))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As `Executor.shutdown`: `close()`, or with `wait=False` the same in the background."""
        if wait and not cancel_futures:
            self.close()
            return
        self._admission.close()
        if cancel_futures:
            for task in list(self._admission.tasks):
                if not task.running():
                    task.cancel()
        if wait:
            self.close()
        self._threads.stop()
        self._coroutines.stop()

    def reopen(self) -> None:
        """Take tasks again after a `close`; on an open pool do nothing. A task that did not stop keeps its slot."""
        with self._change_lock:
            if self.closed:
                self._new_runners()
                self._admission.reopen()

    # Internals -----------------------------------------------------------------------------------------------------

    def _new_runners(self) -> None:
        """Make the runners, whose threads start later: in a new pool, after a close and in a forked child."""
        name, logger, idle_timeout = self.name, self._logger, self._idle_timeout
        self._cancelling = False
        self._threads: WorkerThreads[TaskHandle[Any]] = WorkerThreads(
            self._execution.run_function,
            limit=self._threads_for(self.capacity),
            idle_timeout=idle_timeout,
            name=name,
            logger=logger,
            on_exit=self._on_worker_exit,
        )
        database_threads = DatabaseThreads(idle_timeout=idle_timeout, name=name, logger=logger)
        self._coroutines = CoroutineLoop(self._execution, database_threads=database_threads, name=name, logger=logger)

    def _on_worker_exit(self) -> None:
        connections.close_all()
        self._admission.break_deadlocks()

    def _threads_for(self, size: int) -> int:
        return self._max_threads or min(size, DEFAULT_MAX_THREADS)

    def _submit(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        wait: bool = True,
        wait_timeout: float | None = None,
        timeout: float | None = None,
    ) -> TaskHandle[Any]:
        lane, runner = self._lane_and_runner(fn)
        self._admission.acquire(lane, wait=wait, timeout=wait_timeout, may_wait=self._may_wait)
        return self._start(TaskHandle((fn, args, kwargs), lane=lane, runner=runner, timeout=timeout), runner)

    def _lane_and_runner(self, fn: Callable[..., Any]) -> tuple[Lane, Runner]:
        if is_coroutine_function(fn):
            return self._admission.coroutines, self._coroutines
        return self._admission.functions, self._threads

    def _start(self, task: TaskHandle[Any], runner: Runner) -> TaskHandle[Any]:
        self._register(task)
        try:
            runner.put(task)
        except RuntimeError:
            task.end(cancelled=True)
            raise
        return task

    def _register(self, task: TaskHandle[Any]) -> None:
        self._admission.tasks.add(task)
        if self._cancelling:
            task.cancel()

    def _may_wait(self, in_task: bool) -> bool:
        """Whether the calling thread may wait for a slot: not the event loop, nor a worker between two tasks."""
        return not self._coroutines.is_current_thread() and (in_task or not self._threads.is_current_thread())

    def _check_may_block(self) -> None:
        if self._coroutines.is_current_thread():
            raise PoolDeadlockError(f"waiting for a task would stop all coroutines of {self.name}; await it instead")

    def _check_not_in_task(self, method: str) -> None:
        if current_task() in self._admission.tasks or (method == "close()" and self._coroutines.is_current_thread()):
            raise PoolDeadlockError(f"{method} inside a task of {self.name} would wait for that very task")

    def _after_fork(self) -> None:
        for part in (self._admission, self._threads, self._coroutines):
            part.forget_after_fork()
        closed = self.closed
        self._change_lock = threading.Lock()
        self._admission = self._new_admission(size=self.capacity, threads=self._threads_for(self.capacity))
        self._admission.closed = closed
        self._new_runners()


def _check_at_least(minimum: int, **arguments: float | None) -> None:
    for name, value in arguments.items():
        if value is not None and not value >= minimum:
            raise ValueError(f"{name} must be at least {minimum}, it is {value}")


_pools: weakref.WeakSet[TaskPool] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for pool in list(_pools):
        pool._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
