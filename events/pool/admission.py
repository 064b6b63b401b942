"""Admission: one count over all kinds of tasks, and the submitters that wait for a slot."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from typing import Any

from .errors import PoolClosedError, PoolDeadlockError, PoolError, PoolOverloadedError, SubmitTimeoutError
from .handle import TaskHandle, current_task
from .stats import PoolStats
from .wait_graph import Lane, Waiter, Waits

DEADLOCK = (
    "{} is full and every task that could free a slot waits for one itself; submit follow-up work with try_submit() "
    "and do it inline when that refuses, or make the pool larger"
)
STARVED = (
    "every thread of {} waits, in the end, for a function that needs one of them; await handles in coroutines, where "
    "waiting costs no thread, or give the pool more threads"
)


class Admission:
    """Who may run. All of its numbers change under one lock, so they are exact at every moment.

    Waiting submitters are admitted first come, first served. Functions take at most `min(size, 2 * threads)` slots:
    what is ready beyond the threads spares a handover per task, and more would only wait in memory. A full function
    lane holds up no coroutine.
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
        take_over: Callable[[TaskHandle[Any]], Callable[[], None] | None],
    ) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._drained = threading.Condition(self._lock)
        self._numbers = count()
        self._max_waiting = max_waiting
        self._nonblocking = nonblocking
        self.functions, self.coroutines, self.callers = self._lanes = (Lane(self), Lane(self), Lane(self))
        self._waits = Waits(*self._lanes, workers=workers)
        #: A task is about to block its thread until this one ends: how to run it there, if that is possible.
        self.take_over = take_over
        #: Those that hold a slot.
        self.tasks: set[TaskHandle[Any]] = set()
        self.closed = False
        self.running = self.waiting = 0
        self._submitted = self._completed = self._failed = self._cancelled = self._rejected = 0
        self._set_size(size, threads)

    def enter(
        self, lane: Lane, *, wait: bool = True, timeout: float | None = None, may_block: Callable[[bool], bool]
    ) -> None:
        """Take a slot, waiting for it up to `timeout` seconds; the caller owes a `release`.

        Raises PoolClosedError, PoolOverloadedError, PoolDeadlockError or SubmitTimeoutError.
        """
        with self._lock:
            if self._try_take(lane):
                return
            if not wait:
                raise self._rejection(PoolOverloadedError(f"{self._name} is full"))
            holder = self._holder()
            if not may_block(holder is not None):
                raise self._rejection(PoolDeadlockError(f"{self._name} is full and needs this very thread to go on"))
            gate = threading.Lock()
            gate.acquire()
            waiter = self._enqueue(Waiter(lane, holder, gate.release), limited=timeout is not None)
        try:
            woken = gate.acquire(timeout=-1 if timeout is None else min(max(timeout, 0), threading.TIMEOUT_MAX))
        except BaseException:
            self._withdraw(waiter)
            raise
        if not woken and self._leave(waiter):
            raise SubmitTimeoutError(f"no slot of {self._name} came free within {timeout} s")
        if waiter.refusal is not None:
            raise waiter.refusal

    async def aenter(self, lane: Lane) -> None:
        """As `enter`, without blocking the caller's event loop."""
        with self._lock:
            if self._try_take(lane):
                return
            loop = asyncio.get_running_loop()
            admitted = loop.create_future()
            wake = partial(loop.call_soon_threadsafe, _resolve, admitted)
            waiter = self._enqueue(Waiter(lane, self._holder(), wake), limited=False)
        try:
            await admitted
        except BaseException:
            self._withdraw(waiter)
            raise
        if waiter.refusal is not None:
            raise waiter.refusal

    def release(self, task: TaskHandle[Any], *, failed: bool = False, cancelled: bool = False) -> None:
        """Give back the slot of a task that has ended; the next in line gets it."""
        with self._lock:
            lane = task.lane
            if lane is None:
                return
            task.lane = None
            self.tasks.discard(task)
            lane.blocked.discard(task)
            for waiter in task.awaited_by:
                self._waits.end(waiter, task)
            task.awaited_by = ()
            if failed:
                self._failed += 1
            elif cancelled:
                self._cancelled += 1
            else:
                self._completed += 1
            self._give_back(lane)

    @contextmanager
    def held_up(self, waiter: TaskHandle[Any], *, on: TaskHandle[Any]) -> Iterator[None]:
        """While a task waits for another to end, it cannot free its own slot.

        Raises PoolDeadlockError if that other could never end.
        """
        with self._lock:
            if waiter.lane in self._lanes and on.lane in self._lanes:
                self._hold_up(waiter, on)
        try:
            yield
        finally:
            with self._lock:
                if waiter in on.awaited_by:
                    self._let_go(waiter, on)

    def break_deadlocks(self) -> None:
        """To be called when a worker thread has gone: a task may have counted on it."""
        with self._lock:
            self._break_deadlocks()

    def resize(self, size: int, threads: int) -> None:
        with self._lock:
            self._set_size(size, threads)
            self._admit_waiters()

    def close(self) -> None:
        """Admit nobody any more, and turn away those who wait."""
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
        """Wait up to `timeout` seconds for the last slot to be given back."""
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

    def disown(self) -> None:
        """After a fork, in the child: the threads that held or wait for the lock are gone."""
        self._lock = threading.Lock()
        self._drained = threading.Condition(self._lock)

    # Under the lock ------------------------------------------------------------------------------------------------

    def _set_size(self, size: int, threads: int) -> None:
        self.size = size
        self.functions.limit = min(size, 2 * threads)
        self.coroutines.limit = self.callers.limit = size

    def _try_take(self, lane: Lane) -> bool:
        # No waiter is overtaken here: one that could have this slot would have got it when it came free.
        if self.closed:
            raise self._closed_error()
        if self.running >= self.size or lane.full:
            return False
        self.running += 1
        lane.running += 1
        self._submitted += 1
        return True

    def _give_back(self, lane: Lane) -> None:
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
                waiter.refusal = PoolError("the event loop that waited is closed")
                self._undo_take(waiter.lane)
            else:
                waiter.admitted = True
        self._break_deadlocks()

    def _undo_take(self, lane: Lane) -> None:
        lane.running -= 1
        self.running -= 1
        self._submitted -= 1

    def _enqueue(self, waiter: Waiter, *, limited: bool) -> Waiter:
        if self._nonblocking or 0 < self._max_waiting <= self.waiting:
            raise self._rejection(PoolOverloadedError(f"{self._name} is full"))
        waiter.number = next(self._numbers)
        waiter.lane.waiters[waiter.number] = waiter
        self.waiting += 1
        if waiter.holder is None:
            return waiter
        self._waits.begin(waiter.holder, waiter.lane)
        if self._waits.is_stuck(waiter.lane):
            self._dequeue(waiter)
            raise self._rejection(PoolDeadlockError(DEADLOCK.format(self._name)))
        if limited:
            self._waits.end(waiter.holder, waiter.lane)
            waiter.holder = None
        return waiter

    def _dequeue(self, waiter: Waiter) -> None:
        del waiter.lane.waiters[waiter.number]
        self.waiting -= 1
        if waiter.holder is not None:
            self._waits.end(waiter.holder, waiter.lane)

    def _refuse(self, waiter: Waiter, refusal: PoolError) -> None:
        self._dequeue(waiter)
        waiter.refusal = refusal
        with suppress(RuntimeError):
            waiter.wake()

    def _closed_error(self) -> PoolClosedError:
        return PoolClosedError(f"{self._name} is closed")

    def _rejection(self, error: PoolError) -> PoolError:
        self._rejected += 1
        return error

    # Deadlocks: a pool whose tasks all wait for slots of it -----------------------------------------------------------

    def _holder(self) -> TaskHandle[Any] | None:
        """The current task, if it holds a slot of this pool."""
        task = current_task()
        return task if task is not None and task.lane in self._lanes else None

    def _hold_up(self, waiter: TaskHandle[Any], on: TaskHandle[Any]) -> None:
        if self._waits.is_ring(waiter, on):
            raise PoolDeadlockError("a task that waits for itself, be it by way of others, would wait for ever")
        self._waits.begin(waiter, on)
        on.awaited_by = (*on.awaited_by, waiter)
        self._break_deadlocks()
        if self._waits.is_in_vain(on):
            self._let_go(waiter, on)
            raise PoolDeadlockError(STARVED.format(self._name))

    def _let_go(self, waiter: TaskHandle[Any], on: TaskHandle[Any]) -> None:
        self._waits.end(waiter, on)
        place = on.awaited_by.index(waiter)
        on.awaited_by = on.awaited_by[:place] + on.awaited_by[place + 1 :]

    def _break_deadlocks(self) -> None:
        """Turn away the last of the tasks that hold each other up."""
        for lane in self._lanes:
            if lane.waiters and any(holding.blocked for holding in self._lanes) and self._waits.is_stuck(lane):
                tasks = [waiter for waiter in lane.waiters.values() if waiter.holder is not None]
                if tasks:
                    self._refuse(tasks[-1], self._rejection(PoolDeadlockError(DEADLOCK.format(self._name))))

    # Submitters that stop waiting ----------------------------------------------------------------------------------

    def _leave(self, waiter: Waiter) -> bool:
        """Give up the place in the queue; False if the answer has come meanwhile."""
        with self._lock:
            if waiter.admitted or waiter.refusal is not None:
                return False
            self._dequeue(waiter)
            self._rejected += 1
            return True

    def _withdraw(self, waiter: Waiter) -> None:
        """Give up the place in the queue, or the slot that has been given meanwhile."""
        with self._lock:
            if waiter.admitted:
                self._submitted -= 1
                self._give_back(waiter.lane)
            elif waiter.refusal is None:
                self._dequeue(waiter)


def _number(waiter: Waiter) -> int:
    return waiter.number


def _resolve(admitted: asyncio.Future[None]) -> None:
    if not admitted.done():
        admitted.set_result(None)
