"""The task pool: closing it, waiting for its tasks, reopening it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from events.pool import PoolClosedError, PoolDeadlockError, TaskPool, check_cancelled
from tests.events.pool.occupy import Eventually, do_nothing, occupied, submitter_threads, threads_of

ROOT = Path(__file__).resolve().parents[3]


def test_a_closed_pool_takes_no_task() -> None:
    pool = TaskPool(2)
    assert pool.close()
    assert pool.closed
    for verb in (pool.submit, pool.try_submit, pool.spawn, pool.run):
        with pytest.raises(PoolClosedError):
            verb(do_nothing)
    with pytest.raises(PoolClosedError):
        asyncio.run(pool.asubmit(do_nothing))


def test_closing_refuses_all_waiting_submitters_and_their_tasks_never_run(eventually: Eventually) -> None:
    ran: list[int] = []
    with submitter_threads(51) as threads:
        pool = TaskPool(1)
        with occupied(pool, 1):
            blocked = [threads.submit(pool.submit, ran.append, number) for number in range(50)]
            eventually(lambda: pool.waiting == 50)
            closing = threads.submit(pool.close)
            began = time.monotonic()
            assert all(isinstance(submission.exception(20), PoolClosedError) for submission in blocked)
            assert time.monotonic() - began < 20
            assert pool.waiting == 0
            assert not closing.done()
        assert closing.result(20)
    assert ran == []


def test_close_waits_for_the_tasks_that_were_admitted() -> None:
    pool = TaskPool(100, max_threads=4)
    functions = [pool.submit(time.sleep, 0.2) for _ in range(8)]
    coroutines = [pool.submit(asyncio.sleep, 0.2) for _ in range(20)]
    assert pool.close(20)
    assert all(task.done() and not task.cancelled() for task in functions + coroutines)


def test_close_ends_after_its_timeout_and_cancels_the_remaining_tasks() -> None:
    seen = threading.Event()

    def run_until_cancelled() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                check_cancelled()
            except asyncio.CancelledError:
                seen.set()
                raise
            time.sleep(0.01)

    pool = TaskPool(10)
    function = pool.submit(run_until_cancelled)
    coroutine = pool.submit(asyncio.sleep, 60)
    began = time.monotonic()
    assert pool.close(0.2) is False
    assert time.monotonic() - began < 20
    assert seen.wait(20)
    for task in (function, coroutine):
        with pytest.raises(CancelledError):
            task.result(20)
        assert task.cancelled()


def test_close_ends_after_timeout_and_grace_although_a_task_never_stops(eventually: Eventually) -> None:
    pool = TaskPool(3, max_threads=1)
    with occupied(pool, 1) as release:
        eventually(release.tasks[0].running)
        waiting = pool.submit(do_nothing)
        began = time.monotonic()
        assert pool.close(0.1, cancel_grace=0.1) is False
        assert time.monotonic() - began < 20
        assert waiting.cancelled()
        assert pool.running == 1
    assert pool.close(20)
    assert threads_of(pool) == []


def test_two_threads_may_close_a_pool_at_once_and_again() -> None:
    with submitter_threads(2) as threads:
        pool = TaskPool(2)
        release = threading.Event()
        pool.submit(release.wait)
        closing = [threads.submit(pool.close, 20) for _ in range(2)]
        release.set()
        assert [close.result(20) for close in closing] == [True, True]
        assert pool.close()
        pool.shutdown()


def test_no_thread_outlives_a_drained_close() -> None:
    pool = TaskPool(20, name="short-lived", prestart=True)
    pool.submit(asyncio.sleep, 0.01)
    for _ in range(20):
        pool.submit(do_nothing)
    assert threads_of(pool) != []
    assert pool.close(20)
    assert threads_of(pool) == []
    assert pool.stats().threads == 0


def test_a_reopened_pool_works_as_before() -> None:
    pool = TaskPool(10)
    for _ in range(2):
        assert sum(task.result(20) for task in [pool.submit(lambda n=n: n) for n in range(1000)]) == 499500
        assert pool.submit(asyncio.sleep, 0, "loop").result(20) == "loop"
        assert pool.close(20)
        pool.reopen()
        assert not pool.closed
    pool.reopen()
    pool.close()


def test_a_task_that_did_not_stop_keeps_its_slot_when_the_pool_is_reopened(eventually: Eventually) -> None:
    pool = TaskPool(2)
    with occupied(pool, 1) as release:
        eventually(release.tasks[0].running)
        assert not pool.close(0, cancel_grace=0)
        pool.reopen()
        assert (pool.running, pool.free) == (1, 1)
        assert pool.submit(lambda: "works").result(20) == "works"
        release.set()
    assert pool.close(20)


def test_a_with_block_waits_for_its_tasks() -> None:
    with TaskPool(100) as pool:
        tasks = [pool.submit(time.sleep, 0.1), pool.submit(asyncio.sleep, 0.1)]
    assert all(task.done() for task in tasks)
    assert pool.closed


def test_the_process_ends_although_a_task_is_stuck() -> None:
    stuck = "from events.pool import TaskPool, get_pool; import threading, asyncio\n"
    stuck += "pool, never = TaskPool(3), threading.Event()\npool.submit(never.wait); pool.submit(asyncio.sleep, 99)\n"
    stuck += "get_pool().submit(never.wait); print('done')"
    ended = subprocess.run([sys.executable, "-c", stuck], cwd=ROOT, timeout=30, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


def test_the_process_pool_finishes_short_tasks_before_the_process_ends() -> None:
    short = (
        "from events.pool import get_pool; import time\ndef work():\n  time.sleep(0.3)\n  print('done', flush=True)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", short + "get_pool().submit(work)"], cwd=ROOT, timeout=30, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (0, "done\n")


def test_aclose_waits_without_blocking_the_callers_loop() -> None:
    async def main() -> bool:
        pool = TaskPool(2)
        with occupied(pool, 1) as release:
            closing = asyncio.create_task(pool.aclose(20))
            for _ in range(3):
                await asyncio.sleep(0.01)
            assert pool.closed
            assert not closing.done()
            release.set()
            return await closing

    assert asyncio.run(main())


def test_shutdown_without_waiting_lets_the_tasks_finish_and_the_threads_end(eventually: Eventually) -> None:
    pool = TaskPool(10, name="shut-down")
    with occupied(pool, 1) as release:
        tasks = [*release.tasks, pool.submit(asyncio.sleep, 0.1)]
        pool.shutdown(wait=False)
        with pytest.raises(PoolClosedError):
            pool.submit(do_nothing)
    for task in tasks:
        task.result(20)
    eventually(lambda: threads_of(pool) == [])


def test_shutdown_can_cancel_tasks_that_have_not_started(eventually: Eventually) -> None:
    pool = TaskPool(10, max_threads=1)
    with submitter_threads(1) as threads, occupied(pool, 1) as release:
        eventually(release.tasks[0].running)
        waiting = pool.submit(do_nothing)
        closing = threads.submit(pool.shutdown, cancel_futures=True)
        eventually(waiting.cancelled)
        release.set()
        closing.result(20)
    assert pool.running == 0


def test_a_task_that_closes_its_own_pool_gets_an_error() -> None:
    async def aclose() -> bool:
        return await pool.aclose()

    with TaskPool(2) as pool:
        for closing in (pool.close, aclose):
            with pytest.raises(PoolDeadlockError):
                pool.submit(closing).result(20)
        with pytest.raises(PoolDeadlockError):
            pool.run(pool.close)
        assert not pool.closed
