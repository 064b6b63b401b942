"""TaskHandle: the future of one submitted task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, Protocol, TypeVar

from .errors import TaskTimeoutError
from .future import LightFuture
from .types import Lane, Task

T = TypeVar("T")
Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

#: The task that the calling code runs in.
current: ContextVar[TaskHandle[Any] | None] = ContextVar("current_task", default=None)


class Runner(Protocol):
    """Executes admitted tasks: the worker threads or the event loop."""

    def put(self, task: TaskHandle[Any], /) -> None:
        """Start the task as soon as possible. Raises RuntimeError if the system gives no thread."""

    def withdraw(self, task: TaskHandle[Any], /) -> bool:
        """Take the task back if it has not started; False if it has, or if this runner cannot take tasks back."""

    def interrupt(self, task: TaskHandle[Any], /) -> None:
        """Deliver the cancellation to a task that has started."""

    def take_inline(self, task: TaskHandle[Any], /) -> Callable[[], None] | None:
        """For a task about to block its thread until `task` ends: how to run it in this thread; None if it must not."""


class TaskHandle(LightFuture[T]):
    """The future of one task: `result`, `exception`, `add_done_callback`, `concurrent.futures.wait` as usual.

    It can be awaited; cancelling the asyncio task that awaits it cancels this task. Callbacks run on the pool's
    threads.
    """

    def __init__(self, call: Call, *, lane: Lane, runner: Runner | None = None, timeout: float | None = None) -> None:
        super().__init__()
        self._call: Call | None = call
        self._runner = runner
        self._deadline: float | None = None
        self._interrupted = False
        #: The asyncio task of a coroutine that has started.
        self.asyncio_task: asyncio.Task[Any] | None = None
        #: Seconds it may run; None for no limit.
        self.timeout = timeout
        #: It runs in a copy of the submitter's context variables; None for `run`, which stays in the caller's context.
        self.context: Context | None = None if runner is None else copy_context()
        #: Where the task holds its slot; None once it has given the slot back.
        self.lane: Lane | None = lane
        #: Lanes and tasks of its own pool that it waits for without limit.
        self.waits_for: tuple[Lane | Task, ...] = ()
        #: Tasks of its own pool that wait without limit for its end.
        self.awaited_by: tuple[Task, ...] = ()

    def cancel(self) -> bool:
        """Prevent a task that has not started, or ask a running one to stop; False if it has already ended.

        A running coroutine gets `asyncio.CancelledError`; a running function gets it at its next `check_cancelled()`,
        because a thread cannot be stopped from outside. `cancelled()` is True once the task has stopped.
        """
        if super().cancel():
            if self._runner is not None and self._runner.withdraw(self):
                self.start()
            return True
        if self.done():
            return False
        self._interrupted = True
        if self._runner is not None:
            self._runner.interrupt(self)
        return True

    def remaining(self) -> float | None:
        """Seconds left of the task's `timeout`, at least 0; None without one. The time starts when the task starts."""
        if self._deadline is None:
            return self.timeout
        return max(0.0, self._deadline - time.monotonic())

    def result(self, timeout: float | None = None) -> T:
        """As `Future.result`.

        A function of the pool that calls it without `timeout`, for another function that has not started, runs that
        function itself. Raises PoolDeadlockError, to a task of the same pool, if the wait could never end.
        """
        if timeout is not None or self.done():
            return super().result(timeout)
        with self.waited_for(blocking=True):
            return super().result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `Future.exception`, with the same two differences as `result`."""
        if timeout is not None or self.done():
            return super().exception(timeout)
        with self.waited_for(blocking=True):
            return super().exception()

    def __await__(self) -> Generator[Any, None, T]:
        return self._awaited().__await__()

    async def _awaited(self) -> T:
        with self.waited_for():
            return await asyncio.wrap_future(self)

    @contextmanager
    def waited_for(self, *, blocking: bool = False) -> Iterator[None]:
        """Record in the pool's wait-for graph that the current task waits for this one, until the block ends.

        blocking: the calling thread is about to block. If it is a worker and this task has not started, it runs here.
        Raises PoolDeadlockError if the wait could never end, or would block the pool's event loop.
        """
        waiter, lane = current.get(), self.lane
        if waiter is None or waiter.lane is None or lane is None:
            yield
            return
        run_inline = None
        if blocking and waiter.lane.slots is lane.slots:
            lane.slots.check_may_block()
            if self._runner is not None:
                run_inline = self._runner.take_inline(self)
        with lane.slots.waiting_for(waiter, on=self):
            if run_inline is not None:
                run_inline()
            yield

    # For the pool and its runners ----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name of its function, for logs; only until the task has ended."""
        fn = self._call[0] if self._call is not None else None
        return getattr(fn, "__qualname__", None) or repr(fn)

    def start(self) -> bool:
        """Begin to run. False if the task was cancelled first; its slot is then given back."""
        if not self.set_running_or_notify_cancel():
            self.end(cancelled=True)
            return False
        if self.timeout is not None:
            self._deadline = time.monotonic() + self.timeout
        return True

    def call(self) -> Any:
        """Call the task's function, with the task as the current one of this context."""
        current.set(self)
        assert self._call is not None
        fn, args, kwargs = self._call
        return fn(*args, **kwargs)

    def end(self, *, failed: bool = False, cancelled: bool = False) -> None:
        """Give back the slot, and drop the function, its arguments and context: the handle may live much longer."""
        self._call = self.context = None
        if (lane := self.lane) is not None:
            lane.slots.release(self, failed=failed, cancelled=cancelled)

    def check(self) -> None:
        """Raise asyncio.CancelledError if the task was cancelled, TaskTimeoutError if its `timeout` is over."""
        if self._interrupted:
            raise asyncio.CancelledError
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise TaskTimeoutError(f"the task ran longer than its {self.timeout} s")


def current_task() -> TaskHandle[Any] | None:
    """The task that the calling code runs in, also through asyncio tasks and to_thread; None outside of any task."""
    return current.get()


def check_cancelled() -> None:
    """Let a long function stop where it is safe; outside of a task it does nothing.

    Raises asyncio.CancelledError if the task was cancelled, TaskTimeoutError if its `timeout` is over.
    """
    if (task := current.get()) is not None:
        task.check()
