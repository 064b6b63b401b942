"""The task pool under everything at once, with the interpreter switching threads as often as it can.

Threads and event loops submit in every way there is, cancel, nest and time out, while the pool is resized, closed and
reopened under them. Nothing may be lost, run twice, miscounted or left hanging.
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
from tests.events.pool.test_admission import Eventually

SEED = int(os.environ.get("AIRY_TEST_SEED", random.SystemRandom().randrange(10**9)))
FEEDERS, LOOPS, SUBMITTERS_PER_LOOP = 10, 2, 4
#: Seconds after which what has not ended counts as hanging.
PATIENCE = 60.0


class Planned(Exception):
    """What a task is meant to fail with."""


class Work:
    """One piece of work: what it is to do, and how often it did."""

    def __init__(self, stress: Stress, dice: random.Random, depth: int) -> None:
        self._stress = stress
        self._depth = depth
        self._dice = random.Random(dice.random())
        self._deed = dice.choices(["return", "linger", "fail", "exit", "nest"], [40, 25, 8, 2, 25])[0]
        self.runs: list[None] = []
        self.refused = False

    def function(self) -> Work:
        self._begin()
        if self._deed == "linger":
            for _ in range(self._dice.randrange(20)):
                check_cancelled()
                time.sleep(0.0005)
        elif self._deed == "nest":
            handle = self._stress.submit(self._dice, self._depth + 1)
            if handle is not None and self._dice.random() < 0.7:
                with suppress(PoolError, Planned, SystemExit, CancelledError):
                    handle.result()
        return self._end()

    async def coroutine(self) -> Work:
        self._begin()
        if self._deed == "linger":
            await asyncio.sleep(self._dice.random() / 100)
        elif self._deed == "nest":
            handle = await self._stress.asubmit(self._dice, self._depth + 1)
            if handle is not None and self._dice.random() < 0.7:
                with suppress(PoolError, Planned, SystemExit):
                    await handle
        return self._end()

    def _begin(self) -> None:
        self.runs.append(None)
        if self.refused:
            self._stress.wrong.append("a task ran that was refused")

    def _end(self) -> Work:
        if self._deed == "fail":
            raise Planned
        if self._deed == "exit":
            raise SystemExit(7)
        return self


class Stress:
    """The pool, all who use it, and the book that is kept of what they saw."""

    def __init__(self, seed: int) -> None:
        self.pool = TaskPool(6, max_threads=3, idle_timeout=0.02, name="stressed")
        self.wrong: list[object] = []
        self.seen: Counter[str] = Counter()
        self._seed = seed
        self._accepted: SimpleQueue[tuple[Work, TaskHandle[Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._changing = threading.Lock()
        self._over = threading.Event()
        self._settled = True

    def run(self, seconds: float) -> None:
        """Let everybody loose for a while, and wait until all have come to their end."""
        auditor = self._thread(self._audit)
        users = [self._thread(self._feed, number) for number in range(FEEDERS)]
        users += [self._thread(lambda n=number: asyncio.run(self._feed_from_loop(n))) for number in range(LOOPS)]
        users += [self._thread(self._change), self._thread(self._watch)]
        self._over.wait(seconds)
        self._over.set()
        self._join(users)
        if not self.wrong:
            self.pool.reopen()
            assert self.pool.close(PATIENCE), "tasks did not end"
        self._accepted.put(None)
        self._join([auditor])

    # Using the pool ------------------------------------------------------------------------------------------------

    def submit(self, dice: random.Random, depth: int = 0) -> TaskHandle[Any] | None:
        """Submit in one of the blocking ways; None if that was refused, or had to be run on the spot."""
        work = Work(self, dice, depth)
        fn = work.function if dice.random() < 0.6 or depth else work.coroutine
        try:
            match dice.randrange(5):
                case 0 | 1:
                    handle = self.pool.submit(fn)
                case 2:
                    handle = self.pool.try_submit(fn)
                case 3:
                    limits = {"wait_timeout": dice.random() / 20, "timeout": dice.choice([None, 0.001, 1])}
                    handle = self.pool.spawn(fn, **limits)  # type: ignore[arg-type]
                case _:
                    self._run(work)
                    return None
        except PoolError:
            self._refuse(work)
            return None
        return self._accept(work, handle, dice)

    async def asubmit(self, dice: random.Random, depth: int = 0) -> TaskHandle[Any] | None:
        """Submit from a loop, sometimes without the patience to wait for a slot."""
        work = Work(self, dice, depth)
        fn = work.function if dice.random() < 0.4 else work.coroutine
        patience = dice.choice([None, None, 0, 0.002, 0.02])
        submitting = asyncio.ensure_future(self.pool.asubmit(fn))
        submitting.add_done_callback(lambda _: self._enter(work, submitting, dice))
        try:
            await asyncio.wait([submitting], timeout=patience)
        finally:
            submitting.cancel()
        with suppress(PoolError, asyncio.CancelledError):
            return await asyncio.shield(submitting)
        return None

    def _enter(self, work: Work, submitting: asyncio.Future[TaskHandle[Any]], dice: random.Random) -> None:
        if submitting.cancelled() or isinstance(submitting.exception(), PoolError):
            self._refuse(work)
        else:
            self._accept(work, submitting.result(), dice)

    def _accept(self, work: Work, handle: TaskHandle[Any], dice: random.Random) -> TaskHandle[Any]:
        self._accepted.put((work, handle))
        if dice.random() < 0.1:
            handle.cancel()
        return handle

    def _refuse(self, work: Work) -> None:
        work.refused = True
        self._count("refused")
        if work.runs:
            self.wrong.append("a task had run that was refused")

    def _run(self, work: Work) -> None:
        """In the calling thread; what the pool counts there, nobody else will see."""
        try:
            self.pool.run(work.function)
        except (Planned, SystemExit):
            self._count("failed")
        except asyncio.CancelledError:
            self._count("cancelled")
            raise
        else:
            self._count("completed")

    # The users -----------------------------------------------------------------------------------------------------

    def _feed(self, number: int) -> None:
        dice = random.Random(f"{self._seed}-{number}")
        while not self._over.is_set():
            # A feeder is no task: what stops its `run` stops that alone.
            with suppress(asyncio.CancelledError):
                self.submit(dice)

    async def _feed_from_loop(self, number: int) -> None:
        async def feed(dice: random.Random) -> None:
            while not self._over.is_set():
                await self.asubmit(dice)
                await asyncio.sleep(0)

        seeds = [f"{self._seed}-{number}-{submitter}" for submitter in range(SUBMITTERS_PER_LOOP)]
        async with asyncio.TaskGroup() as group:
            for seed in seeds:
                group.create_task(feed(random.Random(seed)))

    def _change(self) -> None:
        """Resize the pool again and again, and sometimes close and reopen it."""
        dice = random.Random(f"{self._seed}-change")
        while not self._over.wait(dice.random() / 20):
            with self._changing:
                self.pool.resize(dice.randint(1, 9), max_threads=dice.choice([None, 1, 2, 4]))
                self._settled = False
            self._count("resized")
            if dice.random() < 0.1:
                drained = self.pool.close(dice.choice([0, 0.01, PATIENCE]), cancel_grace=dice.choice([0, 0.05, 1]))
                if drained:
                    self._await(lambda: not self._threads(), "threads of a closed pool")
                self._count("closed")
                self.pool.reopen()

    def _watch(self) -> None:
        """Sample the numbers: they must fit together at every moment."""
        while not self._over.wait(0.0005):
            with self._changing:
                now = self.pool.stats()
                self._settled |= now.running <= now.capacity
                if not self._fits(now):
                    self.wrong.append(now)

    def _fits(self, now: PoolStats) -> bool:
        return (
            (now.running <= now.capacity if self._settled else now.free == 0)
            and now.free == max(0, now.capacity - now.running)
            and now.submitted == now.running + now.completed + now.failed + now.cancelled
            and 0 <= now.waiting <= FEEDERS + LOOPS * SUBMITTERS_PER_LOOP + now.running
        )

    # The book ------------------------------------------------------------------------------------------------------

    def _audit(self) -> None:
        """See every accepted task end as it should."""
        while (accepted := self._accepted.get()) is not None:
            work, handle = accepted
            try:
                right = handle.result(PATIENCE) is work and len(work.runs) == 1
                self._count("completed")
            except TaskTimeoutError:
                right = len(work.runs) <= 1
                self._count("failed")
            except (Planned, SystemExit):
                right = len(work.runs) == 1
                self._count("failed")
            except CancelledError:
                right = handle.cancelled() and len(work.runs) <= 1
                self._count("cancelled")
            except BaseException as error:  # noqa: BLE001 whatever it is, the test is to tell of it
                self.wrong.append(error)
                right = False
            if not right:
                self.wrong.append((handle, work._deed, len(work.runs)))
                self._over.set()

    def _count(self, what: str) -> None:
        with self._lock:
            self.seen[what] += 1

    def _threads(self) -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("stressed-")]

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                self.wrong.append(f"still there: {what}")
                return
            time.sleep(0.001)

    def _thread(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        def guarded() -> None:
            try:
                target(*arguments)
            except BaseException as error:  # noqa: BLE001 a user that dies must not go unnoticed
                self.wrong.append(error)
                self._over.set()

        thread = threading.Thread(target=guarded, name=target.__name__, daemon=True)
        thread.start()
        return thread

    def _join(self, threads: list[threading.Thread]) -> None:
        deadline = time.monotonic() + 2 * PATIENCE
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if hanging := [thread.name for thread in threads if thread.is_alive()]:
            faulthandler.dump_traceback(all_threads=True)
            self.wrong.append(f"hanging: {hanging}, {self.pool.stats()}")


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns after a microsecond instead of five milliseconds."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("switching")
@pytest.mark.parametrize("seconds", [3, pytest.param(600, marks=pytest.mark.slow)])
def test_nothing_is_lost_run_twice_or_miscounted_whatever_happens_at_once(
    seconds: int, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "events.pool")
    stress = Stress(SEED)
    stress.run(seconds)
    now, seen = stress.pool.stats(), stress.seen
    print(f"AIRY_TEST_SEED={SEED}", dict(seen), now)  # noqa: T201 shown with a failure
    assert stress.wrong == []
    assert (now.running, now.waiting, now.threads) == (0, 0, 0)
    assert (now.completed, now.failed, now.cancelled) == (seen["completed"], seen["failed"], seen["cancelled"])
    assert all(seen[what] for what in ("completed", "failed", "cancelled", "refused", "resized"))
    eventually(lambda: not stress._threads())
