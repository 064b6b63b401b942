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
from tests.events.pool.test_admission import Eventually, held, nothing, submitters


def test_the_only_task_of_a_full_pool_may_not_wait_for_a_second_slot() -> None:
    with TaskPool(1) as pool:
        with pytest.raises(PoolDeadlockError):
            pool.submit(lambda: pool.submit(nothing)).result(20)
        assert issubclass(PoolDeadlockError, PoolOverloadedError)
        assert (pool.running, pool.waiting) == (0, 0)


def test_a_coroutine_may_not_block_its_own_loop_for_a_slot() -> None:
    with TaskPool(2) as pool, held(pool, 1):

        async def nest() -> None:
            pool.submit(nothing)

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
def test_when_all_coroutines_of_a_full_pool_await_a_slot_the_last_is_told_and_the_rest_go_on(size: int) -> None:
    with TaskPool(size) as pool:
        everyone = asyncio.Barrier(size)

        async def nest() -> str:
            await everyone.wait()
            try:
                return await (await pool.asubmit(asyncio.sleep, 0, "admitted"))
            except PoolDeadlockError:
                return "told"

        results = [task.result(20) for task in [pool.submit(nest) for _ in range(size)]]
        assert sorted(results) == ["admitted"] * (size - 1) + ["told"]


def test_when_all_functions_of_a_full_pool_wait_for_a_slot_the_last_is_told_and_the_rest_go_on() -> None:
    everyone = threading.Barrier(4)
    with TaskPool(4) as pool:

        def nest() -> str:
            everyone.wait(20)
            try:
                return pool.submit(lambda: "admitted").result(20)
            except PoolDeadlockError:
                return "told"

        results = [task.result(20) for task in [pool.submit(nest) for _ in range(4)]]
        assert sorted(results) == ["admitted"] * 3 + ["told"]


def test_functions_and_coroutines_that_hold_each_other_up_are_told_too() -> None:
    with TaskPool(2) as pool:
        entered = threading.Event()

        async def nest_async() -> str:
            while pool.waiting == 0:
                await asyncio.sleep(0.001)
            try:
                return await (await pool.asubmit(asyncio.sleep, 0, "admitted"))
            except PoolDeadlockError:
                return "told"

        def nest() -> str:
            entered.wait(20)
            return pool.submit(lambda: "admitted").result(20)

        tasks = [pool.submit(nest), pool.submit(nest_async)]
        entered.set()
        assert [task.result(20) for task in tasks] == ["admitted", "told"]


def test_a_task_may_wait_for_a_slot_while_another_can_free_one(eventually: Eventually) -> None:
    with TaskPool(2) as pool, held(pool, 1) as release:
        nesting = pool.submit(lambda: pool.submit(lambda: "admitted"))
        eventually(lambda: pool.waiting == 1)
        release.set()
        assert nesting.result(20).result(20) == "admitted"


def test_a_deadlock_that_comes_with_shrinking_is_seen(eventually: Eventually) -> None:
    with TaskPool(2) as pool, held(pool, 1) as release:
        nesting = pool.submit(lambda: pool.submit(nothing))
        eventually(lambda: pool.waiting == 1)
        pool.resize(1)
        assert pool.waiting == 1
        release.set()
        with pytest.raises(PoolDeadlockError):
            nesting.result(20)
        assert pool.waiting == 0


def test_threads_that_all_wait_for_the_function_lane_are_told() -> None:
    everyone = threading.Barrier(2)
    with TaskPool(100, max_threads=2) as pool:

        def nest() -> int:
            everyone.wait(20)
            told = 0
            for _ in range(3):
                try:
                    pool.submit(nothing)
                except PoolDeadlockError:
                    told += 1
            return told

        assert sum(task.result(20) for task in [pool.submit(nest) for _ in range(2)]) >= 1


def test_a_wait_with_a_limit_just_ends(eventually: Eventually) -> None:
    with TaskPool(2) as pool, held(pool, 1):
        with pytest.raises(SubmitTimeoutError):
            pool.submit(lambda: pool.spawn(nothing, wait_timeout=0.1)).result(20)
        assert pool.waiting == 0


def test_outside_submitters_are_no_deadlock(eventually: Eventually) -> None:
    with submitters(3) as threads, TaskPool(1) as pool, held(pool, 1) as release:
        blocked = [threads.submit(pool.submit, lambda: "admitted") for _ in range(3)]
        eventually(lambda: pool.waiting == 3)
        release.set()
        assert [submission.result(20).result(20) for submission in blocked] == ["admitted"] * 3


def test_tasks_that_wait_for_children_which_no_thread_is_left_for_run_them_themselves() -> None:
    everyone = threading.Barrier(3)
    with TaskPool(100, max_threads=3) as pool:

        def parent() -> str:
            child = pool.submit(lambda: threading.current_thread().name)
            everyone.wait(20)
            return child.result()

        assert all(task.result(20).startswith("taskpool-") for task in [pool.submit(parent) for _ in range(3)])


@pytest.mark.parametrize("waits_in", ["thread", "loop"])
def test_a_task_that_waits_for_one_that_waits_for_a_slot_can_free_none(waits_in: str) -> None:
    with TaskPool(2) as pool:

        async def needs_a_slot() -> str:
            try:
                return await (await pool.asubmit(asyncio.sleep, 0, "admitted"))
            except PoolDeadlockError:
                return "told"

        async def parent_async() -> str:
            return await (await pool.asubmit(needs_a_slot))

        def parent() -> str:
            return pool.submit(needs_a_slot).result()

        assert pool.submit(parent if waits_in == "thread" else parent_async).result(20) == "told"
        assert (pool.running, pool.waiting) == (0, 0)


def test_a_task_whose_child_has_just_ended_counts_as_one_that_moves() -> None:
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


def test_a_task_that_waits_for_itself_is_told() -> None:
    with TaskPool(1) as pool, pytest.raises(PoolDeadlockError):
        pool.submit(wait_for_itself(pool)).result(20)


def test_a_coroutine_that_blocks_its_loop_for_another_is_told() -> None:
    with TaskPool(10) as pool:

        async def block() -> object:
            return (await pool.asubmit(asyncio.sleep, 0)).result()

        with pytest.raises(PoolDeadlockError, match="await it"):
            pool.submit(block).result(20)


def test_a_callback_on_a_pool_thread_may_not_wait_for_a_slot(caplog: pytest.LogCaptureFixture) -> None:
    with TaskPool(1) as pool:
        started, told = threading.Event(), threading.Event()

        def submit_more(_: object) -> None:
            with held(pool, 1):
                try:
                    pool.submit(nothing)
                except PoolDeadlockError:
                    told.set()

        task = pool.submit(started.wait, 20)
        task.add_done_callback(submit_more)
        started.set()
        assert told.wait(20)


def test_a_function_that_waits_for_a_coroutine_which_moves_is_no_deadlock(eventually: Eventually) -> None:
    release = threading.Event()

    async def moving() -> None:
        while not release.is_set():
            await asyncio.sleep(0.001)

    async def needs_a_function() -> str:
        return await (await pool.asubmit(lambda: "admitted"))

    with TaskPool(100, max_threads=1) as pool:
        coroutine = pool.submit(moving)
        functions = [pool.submit(coroutine.result), pool.submit(nothing)]
        eventually(functions[0].running)
        waiting = pool.submit(needs_a_function)
        eventually(lambda: pool.waiting == 1)
        release.set()
        assert waiting.result(20) == "admitted"


def test_a_worker_that_is_about_to_run_what_it_waits_for_is_no_deadlock(eventually: Eventually) -> None:
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


def test_when_all_threads_wait_for_coroutines_that_need_a_thread_one_is_told() -> None:
    everyone = threading.Barrier(2)
    with TaskPool(100, max_threads=2) as pool:

        async def needs_a_function() -> str:
            try:
                return await (await pool.asubmit(lambda: "ran"))
            except PoolDeadlockError:
                return "told"

        def parent() -> str:
            everyone.wait(20)  # first, or the second thread could run the function before it has a parent of its own
            try:
                return pool.submit(needs_a_function).result()
            except PoolDeadlockError:
                return "told"

        assert "told" in [task.result(20) for task in [pool.submit(parent) for _ in range(2)]]
        assert pool.submit(lambda: "goes on").result(20) == "goes on"


def test_tasks_that_wait_for_each_other_in_a_ring_are_told_while_others_go_on(eventually: Eventually) -> None:
    ring: list[TaskHandle[str]] = []
    complete = threading.Event()

    async def wait_for_next(number: int) -> str:
        while not complete.is_set():
            await asyncio.sleep(0.001)
        try:
            return await ring[(number + 1) % 3]
        except PoolDeadlockError:
            return "told"

    with TaskPool(10) as pool, held(pool, 2):
        ring += [pool.submit(wait_for_next, number) for number in range(3)]
        complete.set()
        assert [task.result(20) for task in ring] == ["told"] * 3


@pytest.mark.parametrize("size", [1, 2])
def test_run_inside_a_task_counts_as_what_that_task_waits_for(size: int) -> None:
    def outer() -> str:
        return pool.run(inner)

    def inner() -> str:
        try:
            return pool.submit(lambda: "admitted").result()
        except PoolDeadlockError:
            return "told"

    with TaskPool(size) as pool:
        if size == 1:
            with pytest.raises(PoolDeadlockError):
                pool.submit(outer).result(20)
        else:
            assert pool.submit(outer).result(20) == "told"


def test_a_coroutine_may_not_block_its_loop_for_a_function_either() -> None:
    with TaskPool(10) as pool, held(pool, 1) as release:

        async def block() -> object:
            return release.tasks[0].result()

        def block_in_run() -> object:
            return release.tasks[0].result()

        async def run() -> object:
            return pool.run(block_in_run)

        for blocking in (block, run):
            with pytest.raises(PoolDeadlockError, match="await it"):
                pool.submit(blocking).result(20)


def test_a_wait_in_a_child_task_of_a_coroutine_is_the_coroutines() -> None:
    with TaskPool(1) as pool:

        async def gather() -> list[object]:
            return await asyncio.gather(*(pool.asubmit(nothing) for _ in range(3)), return_exceptions=True)

        results = pool.submit(gather).result(20)
        assert [type(result) for result in results] == [PoolDeadlockError] * 3
        assert (pool.running, pool.waiting) == (0, 0)


def test_a_coroutine_cancelled_while_it_awaits_a_slot_leaves_the_others_their_turn(eventually: Eventually) -> None:
    with TaskPool(2) as pool, held(pool, 1) as release:

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


def test_coroutines_that_await_a_slot_are_admitted_by_growth_and_turned_away_by_closing(eventually: Eventually) -> None:
    async def nest() -> str:
        try:
            return await (await pool.asubmit(asyncio.sleep, 0, "admitted"))
        except PoolClosedError:
            return "closed"

    pool = TaskPool(2)
    with held(pool, 1):
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


def test_a_task_may_wait_for_one_of_another_pool_that_waits_for_a_slot_of_its_own(eventually: Eventually) -> None:
    with TaskPool(1, name="first") as first, TaskPool(1, name="second") as second, held(second, 1) as release:

        async def in_first() -> str:
            return await (await second.asubmit(asyncio.sleep, 0, "admitted"))

        crossing = first.submit(in_first)
        eventually(lambda: second.waiting == 1)
        assert (first.running, first.waiting) == (1, 0)
        release.set()
        assert crossing.result(20) == "admitted"


def test_a_deadlock_that_comes_when_a_surplus_thread_goes_is_seen(eventually: Eventually) -> None:
    with TaskPool(100, max_threads=2) as pool:
        nesting, busy = threading.Event(), threading.Event()

        def nest() -> str:
            nesting.wait(20)
            try:
                pool.submit(nothing)
            except PoolDeadlockError:
                return "told"
            return "admitted"

        parent, other = pool.submit(nest), pool.submit(busy.wait, 20)
        eventually(lambda: parent.running() and other.running())
        pool.submit(nothing)
        pool.submit(nothing)
        pool.resize(100, max_threads=1)
        nesting.set()
        eventually(lambda: pool.waiting == 1)
        busy.set()
        assert other.result(20)
        assert parent.result(20) == "told"
