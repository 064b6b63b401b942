"""Admission: one count over all kinds of tasks, and the submitters that wait for a slot."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count

from .errors import PoolClosedError, PoolDeadlockError, PoolError, PoolOverloadedError, SubmitTimeoutError
from .handle import current_task
from .stats import PoolStats
from .types import Lane, Task, Waiter
from .wait_graph import WaitGraph

NO_SLOT_WILL_BE_FREE = (
    "{} is full, and every task that could free a slot waits for one itself; submit follow-up work with try_submit() "
    "and do it inline when that refuses, or make the pool larger"
)
NO_THREAD_WILL_BE_FREE = (
    "every thread of {} waits, directly or through other tasks, for a function that needs one of these threads; await "
    "handles in coroutines, where waiting takes no thread, or give the pool more threads"
)
WAITS_FOR_ITSELF = "a task that waits for itself, directly or through other tasks, would wait forever"


class Admission:
    """Decides which tasks get a slot. All its numbers change under one lock, so they are exact at every moment.

    Waiting submitters are admitted in order of arrival. Functions hold at most `min(size, 2 * threads)` slots: as many
    tasks as threads may be ready to start, so that a thread that finishes one need not wait for the next; more would
    only wait in memory. A full function lane delays no coroutine.

    size: slots in all. threads: worker threads for functions.
    max_waiting: submitters that may wait, 0 for any number. nonblocking: none may wait.
    workers: gives the number of functions that can be under way at once.
    check_may_block: raises PoolDeadlockError if the calling thread runs the pool's event loop.
    """

    def __init__(
        self,
        name: str,
        *,
        size: int,
        threads: int,
        max_waiting: int,
        nonblocking: bool,
        workers: Callable[[], int],
        check_may_block: Callable[[], None],
    ) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._drained = threading.Condition(self._lock)
        self._numbers = count()
        self._max_waiting = max_waiting
        self._nonblocking = nonblocking
        self.check_may_block = check_may_block
        self.functions, self.coroutines, self.callers = self._lanes = (Lane(self), Lane(self), Lane(self))
        self._graph = WaitGraph(*self._lanes, workers=workers)
        #: The tasks that hold a slot.
        self.tasks: set[Task] = set()
        self.closed = False
        self.running = self.waiting = 0
        self._submitted = self._completed = self._failed = self._cancelled = self._rejected = 0
        self._set_size(size, threads)

    def acquire(
        self, lane: Lane, *, wait: bool = True, timeout: float | None = None, may_wait: Callable[[bool], bool]
    ) -> None:
        """Take a slot, to be given back by `release`; waits for it at most `timeout` seconds, None for no limit.

        may_wait: whether this thread may wait for a slot; called with whether the caller is a task of this pool.
        Raises PoolClosedError, PoolOverloadedError, PoolDeadlockError or SubmitTimeoutError.
        """
        with self._lock:
            if self._try_take(lane):
                return
            if not wait:
                raise self._rejection(PoolOverloadedError(f"{self._name} is full"))
            task = self._current_task()
            if not may_wait(task is not None):
                message = f"{self._name} is full, and this very thread runs its tasks, so it must not wait"
                raise self._rejection(PoolDeadlockError(message))
            wakeup = threading.Lock()
            wakeup.acquire()
            waiter = self._enqueue(Waiter(lane, task, wakeup.release), limited=timeout is not None)
        try:
            woken = wakeup.acquire(timeout=-1 if timeout is None else min(max(timeout, 0), threading.TIMEOUT_MAX))
        except BaseException:
            self._abandon(waiter)
            raise
        if not woken and self._give_up(waiter):
            raise SubmitTimeoutError(f"no slot of {self._name} came free within {timeout} s")
        if waiter.error is not None:
            raise waiter.error

    async def acquire_async(self, lane: Lane) -> None:
        """As `acquire`, without a limit and without blocking the caller's event loop."""
        with self._lock:
            if self._try_take(lane):
                return
            loop = asyncio.get_running_loop()
            admitted = loop.create_future()
            wake = partial(loop.call_soon_threadsafe, _resolve, admitted)
            waiter = self._enqueue(Waiter(lane, self._current_task(), wake), limited=False)
        try:
            await admitted
        except BaseException:
            self._abandon(waiter)
            raise
        if waiter.error is not None:
            raise waiter.error

    def release(self, task: Task, /, *, failed: bool = False, cancelled: bool = False) -> None:
        """Give back the slot of a task that has ended; the next waiting submitter gets it."""
        with self._lock:
            lane = task.lane
            if lane is None:
                return
            task.lane = None
            self.tasks.discard(task)
            lane.blocked.discard(task)
            for waiting in task.awaited_by:
                self._graph.remove(waiting, task)
            task.awaited_by = ()
            if failed:
                self._failed += 1
            elif cancelled:
                self._cancelled += 1
            else:
                self._completed += 1
            self._free_slot(lane)

    @contextmanager
    def waiting_for(self, task: Task, /, *, on: Task) -> Iterator[None]:
        """While inside, `task` waits for the end of `on`, so it frees no slot.

        Raises PoolDeadlockError if that end could never come.
        """
        with self._lock:
            if task.lane in self._lanes and on.lane in self._lanes:
                self._begin_wait(task, on)
        try:
            yield
        finally:
            with self._lock:
                if task in on.awaited_by:
                    self._end_wait(task, on)

    def break_deadlocks(self) -> None:
        """To be called when a worker thread has ended: a task may have needed it."""
        with self._lock:
            self._break_deadlocks()

    def resize(self, size: int, threads: int) -> None:
        with self._lock:
            self._set_size(size, threads)
            self._admit_waiters()

    def close(self) -> None:
        """Refuse all new submitters and those that wait."""
        with self._lock:
            self.closed = True
            for lane in self._lanes:
                for waiter in list(lane.waiters.values()):
                    self._refuse(waiter, self._closed_error())
            self._drained.notify_all()

    def reopen(self) -> None:
        with self._lock:
            self.closed = False

    def wait_drained(self, timeout: float | None) -> bool:
        """Wait at most `timeout` seconds until no slot is taken; whether that came."""
        with self._drained:
            return self._drained.wait_for(lambda: not self.running, timeout)

    def stats(self, *, threads: int) -> PoolStats:
        with self._lock:
            return PoolStats(
                threads=threads,
                running=self.running,
                free=self.free,
                waiting=self.waiting,
                capacity=self.size,
                submitted=self._submitted,
                completed=self._completed,
                failed=self._failed,
                cancelled=self._cancelled,
                rejected=self._rejected,
            )

    @property
    def free(self) -> int:
        return max(0, self.size - self.running)

    def forget_after_fork(self) -> None:
        """In a forked child: renew the lock; threads that held it or wait for it exist only in the parent."""
        self._lock = threading.Lock()
        self._drained = threading.Condition(self._lock)

    # Everything below is called under the lock, except for the last section ---------------------------------------

    def _set_size(self, size: int, threads: int) -> None:
        self.size = size
        self.functions.limit = min(size, 2 * threads)
        self.coroutines.limit = self.callers.limit = size

    def _try_take(self, lane: Lane) -> bool:
        # This overtakes no waiter: one that could have this slot would have got it when it became free.
        if self.closed:
            raise self._closed_error()
        if self.running >= self.size or lane.full:
            return False
        self.running += 1
        lane.running += 1
        self._submitted += 1
        return True

    def _untake(self, lane: Lane) -> None:
        lane.running -= 1
        self.running -= 1
        self._submitted -= 1

    def _free_slot(self, lane: Lane) -> None:
        lane.running -= 1
        self.running -= 1
        if self.waiting:
            self._admit_waiters()
        if self.closed and not self.running:
            self._drained.notify_all()

    def _admit_waiters(self) -> None:
        while self.running < self.size:
            open_lanes = [lane for lane in self._lanes if lane.waiters and not lane.full]
            if not open_lanes:
                break
            waiter = min((next(iter(lane.waiters.values())) for lane in open_lanes), key=_number)
            self._dequeue(waiter)
            self._try_take(waiter.lane)
            try:
                waiter.wake()
            except RuntimeError:
                waiter.error = PoolError("the event loop of the waiting submitter is closed")
                self._untake(waiter.lane)
            else:
                waiter.admitted = True
        self._break_deadlocks()

    def _enqueue(self, waiter: Waiter, *, limited: bool) -> Waiter:
        """Let a submitter wait. limited: its wait ends by itself, so it is no edge of the wait-for graph."""
        if self._nonblocking or 0 < self._max_waiting <= self.waiting:
            raise self._rejection(PoolOverloadedError(f"{self._name} is full"))
        waiter.number = next(self._numbers)
        waiter.lane.waiters[waiter.number] = waiter
        self.waiting += 1
        if waiter.task is None:
            return waiter
        self._graph.add(waiter.task, waiter.lane)
        if self._graph.never_frees(waiter.lane):
            self._dequeue(waiter)
            raise self._rejection(PoolDeadlockError(NO_SLOT_WILL_BE_FREE.format(self._name)))
        if limited:
            self._graph.remove(waiter.task, waiter.lane)
            waiter.task = None
        return waiter

    def _dequeue(self, waiter: Waiter) -> None:
        del waiter.lane.waiters[waiter.number]
        self.waiting -= 1
        if waiter.task is not None:
            self._graph.remove(waiter.task, waiter.lane)

    def _refuse(self, waiter: Waiter, error: PoolError) -> None:
        self._dequeue(waiter)
        waiter.error = error
        with suppress(RuntimeError):
            waiter.wake()

    def _closed_error(self) -> PoolClosedError:
        return PoolClosedError(f"{self._name} is closed")

    def _rejection(self, error: PoolError) -> PoolError:
        self._rejected += 1
        return error

    # Deadlocks -----------------------------------------------------------------------------------------------------

    def _current_task(self) -> Task | None:
        """The current task, if it holds a slot of this pool."""
        task = current_task()
        return task if task is not None and task.lane in self._lanes else None

    def _begin_wait(self, task: Task, on: Task) -> None:
        if self._graph.closes_cycle(task, on):
            raise PoolDeadlockError(WAITS_FOR_ITSELF)
        self._graph.add(task, on)
        on.awaited_by = (*on.awaited_by, task)
        self._break_deadlocks()
        if self._graph.never_ends(on):
            self._end_wait(task, on)
            raise PoolDeadlockError(NO_THREAD_WILL_BE_FREE.format(self._name))

    def _end_wait(self, task: Task, on: Task) -> None:
        self._graph.remove(task, on)
        place = on.awaited_by.index(task)
        on.awaited_by = on.awaited_by[:place] + on.awaited_by[place + 1 :]

    def _break_deadlocks(self) -> None:
        """In each deadlocked lane, refuse the waiting task that came last; the others then continue."""
        for lane in self._lanes:
            if lane.waiters and any(other.blocked for other in self._lanes) and self._graph.never_frees(lane):
                tasks = [waiter for waiter in lane.waiters.values() if waiter.task is not None]
                if tasks:
                    error = PoolDeadlockError(NO_SLOT_WILL_BE_FREE.format(self._name))
                    self._refuse(tasks[-1], self._rejection(error))

    # Submitters that stop waiting; these take the lock themselves -----------------------------------------------------

    def _give_up(self, waiter: Waiter) -> bool:
        """Stop waiting after the time limit; False if the waiter was admitted or refused meanwhile."""
        with self._lock:
            if waiter.admitted or waiter.error is not None:
                return False
            self._dequeue(waiter)
            self._rejected += 1
            return True

    def _abandon(self, waiter: Waiter) -> None:
        """Stop waiting after an exception; a slot that was given meanwhile is free again."""
        with self._lock:
            if waiter.admitted:
                self._submitted -= 1
                self._free_slot(waiter.lane)
            elif waiter.error is None:
                self._dequeue(waiter)


def _number(waiter: Waiter) -> int:
    return waiter.number


def _resolve(admitted: asyncio.Future[None]) -> None:
    if not admitted.done():
        admitted.set_result(None)
