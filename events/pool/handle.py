"""TaskHandle: the future of one submitted task, and the way a task finds its own."""

import asyncio
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .errors import TaskTimeoutError
from .future import LightFuture

if TYPE_CHECKING:
    from .wait_graph import Lane

T = TypeVar("T")
Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

current: ContextVar["TaskHandle[Any] | None"] = ContextVar("current_task", default=None)


class Runner(Protocol):
    """What executes admitted tasks: the worker threads or the event loop."""

    def put(self, task: "TaskHandle[Any]", /) -> None:
        """Start the task as soon as possible."""

    def withdraw(self, task: "TaskHandle[Any]", /) -> bool:
        """Take back a task that nothing has taken up yet; False if something has."""

    def interrupt(self, task: "TaskHandle[Any]", /) -> None:
        """Make a started task see that it was cancelled."""


class TaskHandle(LightFuture[T]):
    """The future of one task: `result`, `exception`, `add_done_callback`, `concurrent.futures.wait` as usual.

    It can be awaited; cancelling the asyncio task that awaits it cancels this one. Callbacks run on the pool's threads.
    """

    def __init__(self, call: Call, *, lane: "Lane", runner: Runner | None = None, timeout: float | None = None) -> None:
        super().__init__()
        self._call: Call | None = call
        self._runner = runner
        #: The asyncio task of a coroutine that has started.
        self.running_as: asyncio.Task[Any] | None = None
        self._deadline: float | None = None
        self._interrupted = False
        #: Seconds it may run; None for no limit.
        self.timeout = timeout
        #: What it runs in: the submitter's context variables, copied. `run` stays in the caller's own.
        self.context: Context | None = None if runner is None else copy_context()
        #: Where the task holds its slot; None once it has given the slot back.
        self.lane: Lane | None = lane
        #: Lanes and tasks of its own pool that it waits for without limit.
        self.waits_for: tuple[Lane | TaskHandle[Any], ...] = ()
        #: The tasks of its own pool that wait without limit for this one to end.
        self.awaited_by: tuple[TaskHandle[Any], ...] = ()

    def cancel(self) -> bool:
        """Keep a waiting task from starting, or ask a running one to stop; False if it has already ended.

        A running coroutine gets `asyncio.CancelledError`; a running function gets it at its next `check_cancelled()`,
        since no thread can be stopped from outside. `cancelled()` is True once the task has given way.
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
        """Seconds left of the task's `timeout`, at least 0; None without one. Its clock starts with the task."""
        if self._deadline is None:
            return self.timeout
        return max(0.0, self._deadline - time.monotonic())

    def result(self, timeout: float | None = None) -> T:
        """As `Future.result`. A task that waits so for a function of its pool that has not started runs it itself."""
        if timeout is not None or self.done():
            return super().result(timeout)
        with self.waited_for(blocking=True):
            return super().result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `Future.exception`; as there, its caller may run it."""
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
        """Let the pool know which task waits in this block, so that it sees when nothing moves any more.

        blocking: so does its thread; a function that this one may need is run in it first.
        """
        waiter, lane = current.get(), self.lane
        if waiter is None or waiter.lane is None or lane is None:
            yield
            return
        own = waiter.lane.admission is lane.admission
        run_here = lane.admission.take_over(self) if blocking and own else None
        with lane.admission.held_up(waiter, on=self):
            if run_here is not None:
                run_here()
            yield

    # For the pool and its runners ----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What its function is called; for logs, and only until the task has ended."""
        fn = self._call[0] if self._call is not None else None
        return getattr(fn, "__qualname__", None) or repr(fn)

    def start(self) -> bool:
        """Begin to run; False, with the slot given back, if the task was cancelled first."""
        if not self.set_running_or_notify_cancel():
            self.end(cancelled=True)
            return False
        if self.timeout is not None:
            self._deadline = time.monotonic() + self.timeout
        return True

    def call(self) -> Any:
        """Call the task's function. From here on the task is the current one of the context."""
        current.set(self)
        assert self._call is not None
        fn, args, kwargs = self._call
        return fn(*args, **kwargs)

    def end(self, *, failed: bool = False, cancelled: bool = False) -> None:
        """Give back the slot, and let go of everything that the caller's reference need not keep."""
        self._call = self.context = None
        if (lane := self.lane) is not None:
            lane.admission.release(self, failed=failed, cancelled=cancelled)

    def check(self) -> None:
        """Raise what is to stop the task, if anything is."""
        if self._interrupted:
            raise asyncio.CancelledError
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise TaskTimeoutError(f"the task ran longer than its {self.timeout} s")


def current_task() -> TaskHandle[Any] | None:
    """The task that the calling code runs in, also by way of asyncio tasks and to_thread; None outside of any."""
    return current.get()


def check_cancelled() -> None:
    """Let a long function stop where it is safe; outside of a task it does nothing.

    Raises asyncio.CancelledError if the task was cancelled, TaskTimeoutError if its `timeout` is over.
    """
    if (task := current.get()) is not None:
        task.check()
