"""The task pool under all kinds of use at once, while the interpreter switches threads as often as it can.

Threads and event loops submit by every method, cancel, nest and let tasks time out, while another thread resizes,
closes and reopens the pool. No task may be lost, run twice, be counted wrongly or hang.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

import pytest

from events.pool import PoolError, PoolStats, TaskHandle, TaskPool, TaskTimeoutError, check_cancelled
from tests.events.pool.occupy import Eventually

SEED = int(os.environ.get("AIRY_TEST_SEED", random.SystemRandom().randrange(10**9)))
SUBMITTER_THREADS, EVENT_LOOPS, SUBMITTERS_PER_LOOP = 10, 2, 4
#: Seconds after which a task or thread that has not ended counts as hanging.
HANGS_AFTER = 60.0


class PlannedError(Exception):
    """The error of a task that is to fail."""


class Work:
    """The function or coroutine of one task: its action, and a record of its runs."""

    def __init__(self, stress: Stress, rng: random.Random, depth: int) -> None:
        self._stress = stress
        self._depth = depth
        self._rng = random.Random(rng.random())
        self._action = rng.choices(["return", "sleep", "fail", "exit", "nest"], [40, 25, 8, 2, 25])[0]
        self.runs: list[None] = []
        self.refused = False

    def function(self) -> Work:
        self._begin()
        if self._action == "sleep":
            for _ in range(self._rng.randrange(20)):
                check_cancelled()
                time.sleep(0.0005)
        elif self._action == "nest":
            handle = self._stress.submit(self._rng, self._depth + 1)
            if handle is not None and self._rng.random() < 0.7:
                with suppress(PoolError, PlannedError, SystemExit, CancelledError):
                    handle.result()
        return self._end()

    async def coroutine(self) -> Work:
        self._begin()
        if self._action == "sleep":
            await asyncio.sleep(self._rng.random() / 100)
        elif self._action == "nest":
            handle = await self._stress.asubmit(self._rng, self._depth + 1)
            if handle is not None and self._rng.random() < 0.7:
                with suppress(PoolError, PlannedError, SystemExit):
                    await handle
        return self._end()

    def _begin(self) -> None:
        self.runs.append(None)
        if self.refused:
            self._stress.faults.append("a refused task ran")

    def _end(self) -> Work:
        if self._action == "fail":
            raise PlannedError
        if self._action == "exit":
            raise SystemExit(7)
        return self


class Stress:
    """The pool, the threads that use it, and their counts of what happened."""

    def __init__(self, seed: int) -> None:
        self.pool = TaskPool(6, max_threads=3, idle_timeout=0.02, name="stressed")
        self.faults: list[object] = []
        self.counts: Counter[str] = Counter()
        self._seed = seed
        self._accepted: SimpleQueue[tuple[Work, TaskHandle[Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._changing = threading.Lock()
        self._stop = threading.Event()
        self._settled = True

    def run(self, seconds: float) -> None:
        """Use the pool for some seconds, then wait until all threads and tasks have ended."""
        checker = self._thread(self._check_tasks)
        users = [self._thread(self._submit_from_thread, number) for number in range(SUBMITTER_THREADS)]
        users += [
            self._thread(lambda n=number: asyncio.run(self._submit_from_loop(n))) for number in range(EVENT_LOOPS)
        ]
        users += [self._thread(self._change), self._thread(self._sample)]
        self._stop.wait(seconds)
        self._stop.set()
        self._join(users)
        if not self.faults:
            self.pool.reopen()
            assert self.pool.close(HANGS_AFTER), "tasks did not end"
        self._accepted.put(None)
        self._join([checker])

    # Using the pool ------------------------------------------------------------------------------------------------

    def submit(self, rng: random.Random, depth: int = 0) -> TaskHandle[Any] | None:
        """Submit by one of the blocking methods; None if the task was refused, or has been run by `run`."""
        work = Work(self, rng, depth)
        fn = work.function if rng.random() < 0.6 or depth else work.coroutine
        try:
            match rng.randrange(5):
                case 0 | 1:
                    handle = self.pool.submit(fn)
                case 2:
                    handle = self.pool.try_submit(fn)
                case 3:
                    limits = {"wait_timeout": rng.random() / 20, "timeout": rng.choice([None, 0.001, 1])}
                    handle = self.pool.spawn(fn, **limits)  # type: ignore[arg-type]
                case _:
                    self._run(work)
                    return None
        except PoolError:
            self._refuse(work)
            return None
        return self._accept(work, handle, rng)

    async def asubmit(self, rng: random.Random, depth: int = 0) -> TaskHandle[Any] | None:
        """Submit from an event loop, sometimes with a limited wait for a slot."""
        work = Work(self, rng, depth)
        fn = work.function if rng.random() < 0.4 else work.coroutine
        limit = rng.choice([None, None, 0, 0.002, 0.02])
        submitting = asyncio.ensure_future(self.pool.asubmit(fn))
        submitting.add_done_callback(lambda _: self._record(work, submitting, rng))
        try:
            await asyncio.wait([submitting], timeout=limit)
        finally:
            submitting.cancel()
        with suppress(PoolError, asyncio.CancelledError):
            return await asyncio.shield(submitting)
        return None

    def _record(self, work: Work, submitting: asyncio.Future[TaskHandle[Any]], rng: random.Random) -> None:
        if submitting.cancelled() or isinstance(submitting.exception(), PoolError):
            self._refuse(work)
        else:
            self._accept(work, submitting.result(), rng)

    def _accept(self, work: Work, handle: TaskHandle[Any], rng: random.Random) -> TaskHandle[Any]:
        self._accepted.put((work, handle))
        if rng.random() < 0.1:
            handle.cancel()
        return handle

    def _refuse(self, work: Work) -> None:
        work.refused = True
        self._count("refused")
        if work.runs:
            self.faults.append("a refused task had run")

    def _run(self, work: Work) -> None:
        """Run in the calling thread, and count the end here: `run` gives no handle to check."""
        try:
            self.pool.run(work.function)
        except (PlannedError, SystemExit):
            self._count("failed")
        except asyncio.CancelledError:
            self._count("cancelled")
            raise
        else:
            self._count("completed")

    # The users ----------------------------------------------------------------------------------------------------

    def _submit_from_thread(self, number: int) -> None:
        rng = random.Random(f"{self._seed}-{number}")
        while not self._stop.is_set():
            # A cancelled `run` raises CancelledError here; this thread is no task, so it continues.
            with suppress(asyncio.CancelledError):
                self.submit(rng)

    async def _submit_from_loop(self, number: int) -> None:
        async def submit(rng: random.Random) -> None:
            while not self._stop.is_set():
                await self.asubmit(rng)
                await asyncio.sleep(0)

        seeds = [f"{self._seed}-{number}-{submitter}" for submitter in range(SUBMITTERS_PER_LOOP)]
        async with asyncio.TaskGroup() as group:
            for seed in seeds:
                group.create_task(submit(random.Random(seed)))

    def _change(self) -> None:
        """Resize the pool repeatedly, and sometimes close and reopen it."""
        rng = random.Random(f"{self._seed}-change")
        while not self._stop.wait(rng.random() / 20):
            with self._changing:
                self.pool.resize(rng.randint(1, 9), max_threads=rng.choice([None, 1, 2, 4]))
                self._settled = False
            self._count("resized")
            if rng.random() < 0.1:
                drained = self.pool.close(rng.choice([0, 0.01, HANGS_AFTER]), cancel_grace=rng.choice([0, 0.05, 1]))
                if drained:
                    self._await(lambda: not self._threads(), "threads of a closed pool")
                self._count("closed")
                self.pool.reopen()

    def _sample(self) -> None:
        """Sample the pool's numbers: they must agree at every moment."""
        while not self._stop.wait(0.0005):
            with self._changing:
                now = self.pool.stats()
                self._settled |= now.running <= now.capacity
                if not self._agree(now):
                    self.faults.append(now)

    def _agree(self, now: PoolStats) -> bool:
        return (
            (now.running <= now.capacity if self._settled else now.free == 0)
            and now.free == max(0, now.capacity - now.running)
            and now.submitted == now.running + now.completed + now.failed + now.cancelled
            and 0 <= now.waiting <= SUBMITTER_THREADS + EVENT_LOOPS * SUBMITTERS_PER_LOOP + now.running
        )

    # The checks ----------------------------------------------------------------------------------------------------

    def _check_tasks(self) -> None:
        """Wait for each accepted task, and check how it ended."""
        while (accepted := self._accepted.get()) is not None:
            work, handle = accepted
            try:
                correct = handle.result(HANGS_AFTER) is work and len(work.runs) == 1
                self._count("completed")
            except TaskTimeoutError:
                correct = len(work.runs) <= 1
                self._count("failed")
            except (PlannedError, SystemExit):
                correct = len(work.runs) == 1
                self._count("failed")
            except CancelledError:
                correct = handle.cancelled() and len(work.runs) <= 1
                self._count("cancelled")
            except BaseException as error:  # noqa: BLE001 every other error is a fault
                self.faults.append(error)
                correct = False
            if not correct:
                self.faults.append((handle, work._action, len(work.runs)))
                self._stop.set()

    def _count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def _threads(self) -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("stressed-")]

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + HANGS_AFTER
        while not condition():
            if time.monotonic() > deadline:
                self.faults.append(f"not gone: {what}")
                return
            time.sleep(0.001)

    def _thread(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        def guarded() -> None:
            try:
                target(*arguments)
            except BaseException as error:  # noqa: BLE001 the test must fail if a thread of its own fails
                self.faults.append(error)
                self._stop.set()

        thread = threading.Thread(target=guarded, name=target.__name__, daemon=True)
        thread.start()
        return thread

    def _join(self, threads: list[threading.Thread]) -> None:
        deadline = time.monotonic() + 2 * HANGS_AFTER
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if hanging := [thread.name for thread in threads if thread.is_alive()]:
            faulthandler.dump_traceback(all_threads=True)
            self.faults.append(f"hanging: {hanging}, {self.pool.stats()}")


@pytest.fixture
def fast_switching() -> Iterator[None]:
    """Switch threads every microsecond instead of every five milliseconds."""
    default = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(default)


@pytest.mark.usefixtures("fast_switching")
@pytest.mark.parametrize("seconds", [2, pytest.param(600, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_no_task_is_lost_run_twice_or_counted_wrongly(
    seconds: int, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "events.pool")
    stress = Stress(SEED)
    stress.run(seconds)
    now, counts = stress.pool.stats(), stress.counts
    print(f"AIRY_TEST_SEED={SEED}", dict(counts), now)  # noqa: T201 shown with a failure
    assert stress.faults == []
    assert (now.running, now.waiting, now.threads) == (0, 0, 0)
    assert (now.completed, now.failed, now.cancelled) == (counts["completed"], counts["failed"], counts["cancelled"])
    assert all(counts[what] for what in ("completed", "failed", "cancelled", "refused", "resized"))
    eventually(lambda: not stress._threads())
