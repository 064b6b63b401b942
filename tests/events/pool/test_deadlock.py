"""The task pool: tasks that submit to their own pool get an error where waiting could never end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from events.pool import (
    PoolClosedError,
    PoolDeadlockError,
    PoolOverloadedError,
    SubmitTimeoutError,
    TaskHandle,
    TaskPool,
)
from tests.events.pool.occupy import Eventually, do_nothing, occupied, submitter_threads


def test_the_only_task_of_a_full_pool_may_not_wait_for_a_second_slot() -> None:
    with TaskPool(1) as pool:
        with pytest.raises(PoolDeadlockError):
            pool.submit(lambda: pool.submit(do_nothing)).result(20)
        assert issubclass(PoolDeadlockError, PoolOverloadedError)
        assert (pool.running, pool.waiting) == (0, 0)


def test_a_coroutine_may_not_block_its_own_loop_for_a_slot() -> None:
    with TaskPool(2) as pool, occupied(pool, 1):

        async def nest() -> None:
            pool.submit(do_nothing)

        with pytest.raises(PoolDeadlockError, match="this very thread"):
            pool.submit(nest).result(20)


def test_the_only_coroutine_of_a_full_pool_may_not_await_a_second_slot() -> None:
    with TaskPool(1) as pool:

        async def nest() -> None:
            await pool.asubmit(asyncio.sleep, 0)

        with pytest.raises(PoolDeadlockError):
            pool.submit(nest).result(20)
        assert (pool.running, pool.waiting) == (0, 0)


@pytest.mark.parametrize("size", [2, 5])
def test_when_all_coroutines_of_a_full_pool_await_a_slot_the_last_is_refused_and_the_rest_continue(size: int) -> None:
    with TaskPool(size) as pool:
        everyone = asyncio.Barrier(size)

        async def nest() -> str:
            await everyone.wait()
            try:
                return await (await pool.asubmit(asyncio.sleep, 0, "admitted"))
            except PoolDeadlockError:
                return "refused"

        results = [task.result(20) for task in [pool.submit(nest) for _ in range(size)]]
        assert sorted(results) == ["admitted"] * (size - 1) + ["refused"]


def test_when_all_functions_of_a_full_pool_wait_for_a_slot_the_last_is_refused_and_the_rest_continue() -> None:
    everyone = threading.Barrier(4)
    with TaskPool(4) as pool:

        def nest() -> str:
            everyone.wait(20)
            try:
                return pool.submit(lambda: "admitted").result(20)
            except PoolDeadlockError:
                return "refused"

        results = [task.result(20) for task in [pool.submit(nest) for _ in range(4)]]
        assert sorted(results) == ["admitted"] * 3 + ["refused"]


def test_a_deadlock_of_a_function_and_a_coroutine_is_detected() -> None:
    with TaskPool(2) as pool:
        entered = threading.Event()

        async def nest_async() -> str:
            while pool.waiting == 0:
                await asyncio.sleep(0.001)
            try:
                return await (await pool.asubmit(asyncio.sleep, 0, "admitted"))
            except PoolDeadlockError:
                return "refused"

        def nest() -> str:
            entered.wait(20)
            return pool.submit(lambda: "admitted").result(20)

        tasks = [pool.submit(nest), pool.submit(nest_async)]
        entered.set()
        assert [task.result(20) for task in tasks] == ["admitted", "refused"]


def test_a_task_may_wait_for_a_slot_while_another_can_free_one(eventually: Eventually) -> None:
    with TaskPool(2) as pool, occupied(pool, 1) as release:
        nesting = pool.submit(lambda: pool.submit(lambda: "admitted"))
        eventually(lambda: pool.waiting == 1)
        release.set()
        assert nesting.result(20).result(20) == "admitted"


def test_a_deadlock_caused_by_a_smaller_pool_is_detected(eventually: Eventually) -> None:
    with TaskPool(2) as pool, occupied(pool, 1) as release:
        nesting = pool.submit(lambda: pool.submit(do_nothing))
        eventually(lambda: pool.waiting == 1)
        pool.resize(1)
        assert pool.waiting == 1
        release.set()
        with pytest.raises(PoolDeadlockError):
            nesting.result(20)
        assert pool.waiting == 0


def test_when_all_threads_wait_for_the_function_lane_one_is_refused() -> None:
    everyone = threading.Barrier(2)
    with TaskPool(100, max_threads=2) as pool:

        def nest() -> int:
            everyone.wait(20)
            refused = 0
            for _ in range(3):
                try:
                    pool.submit(do_nothing)
                except PoolDeadlockError:
                    refused += 1
            return refused

        assert sum(task.result(20) for task in [pool.submit(nest) for _ in range(2)]) >= 1


def test_a_wait_with_a_limit_ends_with_its_own_error(eventually: Eventually) -> None:
    with TaskPool(2) as pool, occupied(pool, 1):
        with pytest.raises(SubmitTimeoutError):
            pool.submit(lambda: pool.spawn(do_nothing, wait_timeout=0.1)).result(20)
        assert pool.waiting == 0


def test_waiting_submitters_that_are_no_tasks_are_no_deadlock(eventually: Eventually) -> None:
    with submitter_threads(3) as threads, TaskPool(1) as pool, occupied(pool, 1) as release:
        blocked = [threads.submit(pool.submit, lambda: "admitted") for _ in range(3)]
        eventually(lambda: pool.waiting == 3)
        release.set()
        assert [submission.result(20).result(20) for submission in blocked] == ["admitted"] * 3


def test_tasks_run_the_functions_they_wait_for_when_no_thread_is_left() -> None:
    everyone = threading.Barrier(3)
    with TaskPool(100, max_threads=3) as pool:

        def parent() -> str:
            child = pool.submit(lambda: threading.current_thread().name)
            everyone.wait(20)
            return child.result()

        assert all(task.result(20).startswith("taskpool-") for task in [pool.submit(parent) for _ in range(3)])


@pytest.mark.parametrize("waits_in", ["thread", "loop"])
def test_a_task_that_waits_for_a_task_that_waits_for_a_slot_frees_none(waits_in: str) -> None:
    with TaskPool(2) as pool:

        async def needs_a_slot() -> str:
            try:
                return await (await pool.asubmit(asyncio.sleep, 0, "admitted"))
            except PoolDeadlockError:
                return "refused"

        async def parent_async() -> str:
            return await (await pool.asubmit(needs_a_slot))

        def parent() -> str:
            return pool.submit(needs_a_slot).result()

        assert pool.submit(parent if waits_in == "thread" else parent_async).result(20) == "refused"
        assert (pool.running, pool.waiting) == (0, 0)


def test_a_task_whose_child_has_just_ended_is_no_longer_blocked() -> None:
    with TaskPool(2) as pool:

        async def parent() -> int:
            ended = 0
            for _ in range(200):
                ended += await (await pool.asubmit(asyncio.sleep, 0, 1))
            return ended

        tasks = [pool.submit(parent)]
        assert [task.result(20) for task in tasks] == [200]


def test_a_chain_of_tasks_on_one_thread_ends() -> None:
    with TaskPool(1000, max_threads=1) as pool:

        def count_down(number: int) -> int:
            return 0 if number == 0 else 1 + pool.submit(count_down, number - 1).result()

        task = pool.submit(count_down, 1)
        assert task.result(20) == 1


def wait_for_itself(pool: TaskPool) -> Callable[[], object]:
    from events.pool import current_task

    return lambda: current_task().result()  # type: ignore[union-attr]


def test_a_task_that_waits_for_itself_is_refused() -> None:
    with TaskPool(1) as pool, pytest.raises(PoolDeadlockError):
        pool.submit(wait_for_itself(pool)).result(20)


def test_a_coroutine_may_not_block_its_loop_for_another_coroutine() -> None:
    with TaskPool(10) as pool:

        async def block() -> object:
            return (await pool.asubmit(asyncio.sleep, 0)).result()

        with pytest.raises(PoolDeadlockError, match="await it"):
            pool.submit(block).result(20)


def test_a_callback_on_a_pool_thread_may_not_wait_for_a_slot(caplog: pytest.LogCaptureFixture) -> None:
    with TaskPool(1) as pool:
        started, refused = threading.Event(), threading.Event()

        def submit_more(_: object) -> None:
            with occupied(pool, 1):
                try:
                    pool.submit(do_nothing)
                except PoolDeadlockError:
                    refused.set()

        task = pool.submit(started.wait, 20)
        task.add_done_callback(submit_more)
        started.set()
        assert refused.wait(20)


def test_a_function_that_waits_for_a_running_coroutine_is_no_deadlock(eventually: Eventually) -> None:
    release = threading.Event()

    async def wait_for_release() -> None:
        while not release.is_set():
            await asyncio.sleep(0.001)

    async def needs_a_function() -> str:
        return await (await pool.asubmit(lambda: "admitted"))

    with TaskPool(100, max_threads=1) as pool:
        coroutine = pool.submit(wait_for_release)
        functions = [pool.submit(coroutine.result), pool.submit(do_nothing)]
        eventually(functions[0].running)
        waiting = pool.submit(needs_a_function)
        eventually(lambda: pool.waiting == 1)
        release.set()
        assert waiting.result(20) == "admitted"


def test_a_worker_that_runs_the_function_it_waits_for_is_no_deadlock(eventually: Eventually) -> None:
    with TaskPool(100, max_threads=1) as pool:
        release = threading.Event()

        def parent() -> str:
            child = pool.submit(release.wait, 20)
            return "ended" if child.result() else "never"

        async def needs_a_function() -> str:
            return await (await pool.asubmit(lambda: "admitted"))

        first = pool.submit(parent)
        eventually(lambda: pool.running == 2)
        second = pool.submit(needs_a_function)
        eventually(lambda: pool.waiting == 1)
        release.set()
        assert (first.result(20), second.result(20)) == ("ended", "admitted")


def test_when_all_threads_wait_for_coroutines_that_need_a_thread_one_is_refused() -> None:
    everyone = threading.Barrier(2)
    with TaskPool(100, max_threads=2) as pool:

        async def needs_a_function() -> str:
            try:
                return await (await pool.asubmit(lambda: "ran"))
            except PoolDeadlockError:
                return "refused"

        def parent() -> str:
            everyone.wait(20)  # first, or the second thread could run the function before it has a parent of its own
            try:
                return pool.submit(needs_a_function).result()
            except PoolDeadlockError:
                return "refused"

        assert "refused" in [task.result(20) for task in [pool.submit(parent) for _ in range(2)]]
        assert pool.submit(lambda: "continues").result(20) == "continues"


def test_tasks_that_wait_for_each_other_in_a_cycle_are_refused_while_others_run(eventually: Eventually) -> None:
    cycle: list[TaskHandle[str]] = []
    complete = threading.Event()

    async def wait_for_next(number: int) -> str:
        while not complete.is_set():
            await asyncio.sleep(0.001)
        try:
            return await cycle[(number + 1) % 3]
        except PoolDeadlockError:
            return "refused"

    with TaskPool(10) as pool, occupied(pool, 2):
        cycle += [pool.submit(wait_for_next, number) for number in range(3)]
        complete.set()
        assert [task.result(20) for task in cycle] == ["refused"] * 3


@pytest.mark.parametrize("size", [1, 2])
def test_a_task_that_calls_run_waits_for_it(size: int) -> None:
    def outer() -> str:
        return pool.run(inner)

    def inner() -> str:
        try:
            return pool.submit(lambda: "admitted").result()
        except PoolDeadlockError:
            return "refused"

    with TaskPool(size) as pool:
        if size == 1:
            with pytest.raises(PoolDeadlockError):
                pool.submit(outer).result(20)
        else:
            assert pool.submit(outer).result(20) == "refused"


def test_a_coroutine_may_not_block_its_loop_for_a_function_either() -> None:
    with TaskPool(10) as pool, occupied(pool, 1) as release:

        async def block() -> object:
            return release.tasks[0].result()

        def block_in_run() -> object:
            return release.tasks[0].result()

        async def run() -> object:
            return pool.run(block_in_run)

        for blocking in (block, run):
            with pytest.raises(PoolDeadlockError, match="await it"):
                pool.submit(blocking).result(20)


def test_a_wait_in_a_child_task_of_a_coroutine_counts_as_the_coroutines() -> None:
    with TaskPool(1) as pool:

        async def gather() -> list[object]:
            return await asyncio.gather(*(pool.asubmit(do_nothing) for _ in range(3)), return_exceptions=True)

        results = pool.submit(gather).result(20)
        assert [type(result) for result in results] == [PoolDeadlockError] * 3
        assert (pool.running, pool.waiting) == (0, 0)


def test_a_coroutine_cancelled_while_it_awaits_a_slot_leaves_the_slot_to_others(eventually: Eventually) -> None:
    with TaskPool(2) as pool, occupied(pool, 1) as release:

        async def nest() -> str:
            return await (await pool.asubmit(asyncio.sleep, 0, "admitted"))

        nesting = pool.submit(nest)
        eventually(lambda: pool.waiting == 1)
        nesting.cancel()
        eventually(nesting.cancelled)
        assert (pool.running, pool.waiting) == (1, 0)
        second = pool.submit(nest)
        eventually(lambda: pool.waiting == 1)
        release.set()
        assert second.result(20) == "admitted"


def test_a_bigger_pool_admits_waiting_coroutines_and_a_closed_one_refuses_them(
    eventually: Eventually,
) -> None:
    async def nest() -> str:
        try:
            return await (await pool.asubmit(asyncio.sleep, 0, "admitted"))
        except PoolClosedError:
            return "closed"

    pool = TaskPool(2)
    with occupied(pool, 1):
        nesting = pool.submit(nest)
        eventually(lambda: pool.waiting == 1)
        pool.resize(3)
        assert nesting.result(20) == "admitted"
        pool.resize(2)
        nesting = pool.submit(nest)
        eventually(lambda: pool.waiting == 1)
        closing = threading.Thread(target=pool.close)
        closing.start()
        assert nesting.result(20) == "closed"
        assert pool.waiting == 0
    closing.join(20)
    assert not closing.is_alive()


def test_a_task_may_wait_for_a_slot_of_another_full_pool(eventually: Eventually) -> None:
    with TaskPool(1, name="first") as first, TaskPool(1, name="second") as second, occupied(second, 1) as release:

        async def in_first() -> str:
            return await (await second.asubmit(asyncio.sleep, 0, "admitted"))

        crossing = first.submit(in_first)
        eventually(lambda: second.waiting == 1)
        assert (first.running, first.waiting) == (1, 0)
        release.set()
        assert crossing.result(20) == "admitted"


def test_a_deadlock_caused_by_the_end_of_a_surplus_thread_is_detected(eventually: Eventually) -> None:
    with TaskPool(100, max_threads=2) as pool:
        nesting, busy = threading.Event(), threading.Event()

        def nest() -> str:
            nesting.wait(20)
            try:
                pool.submit(do_nothing)
            except PoolDeadlockError:
                return "refused"
            return "admitted"

        parent, other = pool.submit(nest), pool.submit(busy.wait, 20)
        eventually(lambda: parent.running() and other.running())
        pool.submit(do_nothing)
        pool.submit(do_nothing)
        pool.resize(100, max_threads=1)
        nesting.set()
        eventually(lambda: pool.waiting == 1)
        busy.set()
        assert other.result(20)
        assert parent.result(20) == "refused"
