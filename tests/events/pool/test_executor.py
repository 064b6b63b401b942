"""The task pool: as an Executor, and `run` in the calling thread."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Executor, as_completed, wait
from contextvars import ContextVar

import pytest

from events.pool import PoolClosedError, PoolDeadlockError, PoolOverloadedError, TaskPool, check_cancelled, current_task
from tests.events.pool.occupy import Eventually, do_nothing, occupied, submitter_threads

user: ContextVar[str] = ContextVar("user", default="nobody")


def test_map_gives_results_in_order() -> None:
    with TaskPool(4) as pool:
        assert isinstance(pool, Executor)
        assert list(pool.map(pow, range(100), [2] * 100)) == [number**2 for number in range(100)]


def test_an_event_loop_can_run_functions_in_it() -> None:
    async def main(pool: TaskPool) -> str:
        return await asyncio.get_running_loop().run_in_executor(pool, lambda: threading.current_thread().name)

    with TaskPool(2, name="named") as pool:
        assert asyncio.run(main(pool)) == "named-1"


def test_handles_can_be_waited_for_together() -> None:
    with TaskPool(4) as pool:
        tasks = [pool.submit(asyncio.sleep if number % 2 else pow, *(0, number)) for number in range(20)]
        assert {task.result() for task in as_completed(tasks, 20)} == {0, 1, *range(1, 20, 2)}
        assert wait(tasks, 20).not_done == set()


def test_callbacks_are_called_once_whenever_they_are_added() -> None:
    called: list[str] = []
    with TaskPool(1) as pool:
        with occupied(pool, 1) as release:
            task = release.tasks[0]
            task.add_done_callback(lambda done: called.append("before"))
        task.result(20)
        task.add_done_callback(lambda done: called.append("after"))
    assert called == ["before", "after"]


def test_run_works_in_the_calling_thread_and_context_and_takes_a_slot() -> None:
    with TaskPool(2) as pool:

        def observe() -> tuple[threading.Thread, int, bool]:
            user.set("changed by run")
            return threading.current_thread(), pool.running, current_task() is not None

        assert pool.run(observe) == (threading.current_thread(), 1, True)
        assert user.get() == "changed by run"
        assert current_task() is None
        assert (pool.running, pool.stats().completed, pool.stats().threads) == (0, 1, 0)


def test_run_raises_the_error_of_the_function_and_does_not_log_it(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise KeyError("mine")

    with TaskPool(1) as pool:
        with pytest.raises(KeyError, match="mine"):
            pool.run(fail)
        assert (pool.running, pool.stats().failed) == (0, 1)
    assert caplog.records == []


def test_run_waits_for_a_slot_of_a_full_pool_in_order_of_arrival(eventually: Eventually) -> None:
    order: list[str] = []
    with submitter_threads(2) as threads, TaskPool(1) as pool, occupied(pool, 1) as release:
        first = threads.submit(pool.run, order.append, "run")
        eventually(lambda: pool.waiting == 1)
        second = threads.submit(pool.submit, order.append, "submitted")
        eventually(lambda: pool.waiting == 2)
        release.set()
        first.result(20)
        second.result(20).result(20)
    assert order == ["run", "submitted"]


def test_many_callers_of_run_never_exceed_the_size() -> None:
    seen: list[int] = []
    with submitter_threads(20) as threads, TaskPool(3) as pool:
        for call in [threads.submit(pool.run, lambda: seen.append(pool.running)) for _ in range(500)]:
            call.result(20)
    assert len(seen) == 500
    assert max(seen) <= 3


def test_run_is_refused_by_a_full_nonblocking_pool() -> None:
    with TaskPool(1, nonblocking=True) as pool, occupied(pool, 1), pytest.raises(PoolOverloadedError):
        pool.run(do_nothing)


def test_close_waits_for_run_and_refuses_waiting_callers_of_run(eventually: Eventually) -> None:
    release = threading.Event()
    with submitter_threads(3) as threads:
        pool = TaskPool(1)
        running = threads.submit(pool.run, lambda: release.wait(20) and "finished")
        eventually(lambda: pool.running == 1)
        waiting = threads.submit(pool.run, do_nothing)
        eventually(lambda: pool.waiting == 1)
        closing = threads.submit(pool.close)
        assert isinstance(waiting.exception(20), PoolClosedError)
        assert not closing.done()
        release.set()
        assert running.result(20) == "finished"
        assert closing.result(20)


def test_close_cancels_run_after_its_timeout(eventually: Eventually) -> None:
    def work() -> None:
        while True:
            check_cancelled()

    with submitter_threads(1) as threads:
        pool = TaskPool(1)
        running = threads.submit(pool.run, work)
        eventually(lambda: pool.running == 1)
        assert not pool.close(0.05, cancel_grace=20)
        with pytest.raises(asyncio.CancelledError):
            running.result(20)
        assert pool.stats().cancelled == 1


def test_run_inside_a_task_of_a_full_pool_gets_the_deadlock_error() -> None:
    with TaskPool(1) as pool:
        with pytest.raises(PoolDeadlockError):
            pool.run(pool.run, do_nothing)
        with pytest.raises(PoolDeadlockError):
            pool.run(pool.submit, do_nothing)
        assert (pool.running, pool.waiting) == (0, 0)


def test_run_refuses_a_coroutine_function() -> None:
    with TaskPool(1) as pool, pytest.raises(TypeError, match="async_to_sync"):
        pool.run(asyncio.sleep, 0)
