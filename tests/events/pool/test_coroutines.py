"""The task pool: coroutines beside functions, and submitting without blocking an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial

import pytest

from events.pool import PoolOverloadedError, TaskHandle, TaskPool
from tests.events.pool.occupy import Eventually, do_nothing, occupied


async def thread_name(suffix: str = "") -> str:
    await asyncio.sleep(0)
    return threading.current_thread().name + suffix


class CallableObject:
    async def __call__(self) -> str:
        return await thread_name()


class Methods:
    async def method(self) -> str:
        return await thread_name()


@pytest.mark.parametrize(
    "coroutine",
    [thread_name, partial(thread_name, suffix=""), CallableObject(), partial(CallableObject()), Methods().method],
)
def test_every_kind_of_coroutine_function_runs_on_the_loop(coroutine: partial[str]) -> None:
    with TaskPool(4, name="named") as pool:
        assert pool.submit(coroutine).result(20) == "named-loop"


def test_a_lambda_runs_on_a_worker_thread() -> None:
    with TaskPool(4, name="named") as pool:
        assert pool.submit(lambda: threading.current_thread().name).result(20) == "named-1"


def test_ten_thousand_coroutines_need_one_thread() -> None:
    began = time.monotonic()
    with TaskPool(10_000) as pool:
        tasks = [pool.submit(asyncio.sleep, 0.01, number) for number in range(10_000)]
        assert pool.stats().threads <= 2
        assert sum(task.result(20) for task in tasks) == sum(range(10_000))
    assert time.monotonic() - began < 60  # run one after the other they take over 100 s


def test_blocking_functions_do_not_delay_coroutines() -> None:
    async def heartbeat() -> float:
        delays = []
        for _ in range(50):
            began = time.monotonic()
            await asyncio.sleep(0.01)
            delays.append(time.monotonic() - began - 0.01)
        return sorted(delays)[len(delays) // 2]

    with TaskPool(100, max_threads=4) as pool, occupied(pool, 4):
        assert pool.submit(heartbeat).result(60) < 0.5


def test_a_full_function_lane_still_admits_coroutines() -> None:
    with TaskPool(100, max_threads=1) as pool, occupied(pool, 2):
        with pytest.raises(PoolOverloadedError):
            pool.try_submit(do_nothing)
        assert [pool.try_submit(asyncio.sleep, 0, n).result(20) for n in range(5)] == [0, 1, 2, 3, 4]


def test_a_function_that_waits_for_a_slot_does_not_delay_a_later_coroutine(eventually: Eventually) -> None:
    async def main(pool: TaskPool) -> str:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            waiting = group.create_task(pool.asubmit(do_nothing))
            while pool.waiting == 0:
                await asyncio.sleep(0.01)
            result = await (await pool.asubmit(asyncio.sleep, 0, "admitted"))
            waiting.cancel()
        return result

    with TaskPool(100, max_threads=1) as pool, occupied(pool, 2):
        assert asyncio.run(main(pool)) == "admitted"


def test_asubmit_waits_for_a_slot_without_blocking_the_callers_loop() -> None:
    async def main(pool: TaskPool, release: threading.Event) -> tuple[int, str]:
        submitting = asyncio.create_task(pool.asubmit(lambda: "done"))
        ticks = 0
        while ticks < 20:
            await asyncio.sleep(0.005)
            ticks += 1
        assert (pool.waiting, submitting.done()) == (1, False)
        release.set()
        return ticks, await (await submitting)

    with TaskPool(1) as pool, occupied(pool, 1) as release:
        assert asyncio.run(main(pool, release)) == (20, "done")


def test_a_cancelled_asubmit_takes_no_slot_and_its_task_never_runs() -> None:
    ran = threading.Event()

    async def main(pool: TaskPool) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.asubmit(ran.set), 0.05)

    with TaskPool(1) as pool:
        with occupied(pool, 1):
            asyncio.run(main(pool))
            assert pool.waiting == 0
        pool.submit(do_nothing).result(20)
        assert not ran.is_set()


def test_a_slot_given_to_a_submitter_that_is_then_cancelled_is_free_again() -> None:
    async def main(pool: TaskPool, release: threading.Event) -> None:
        submitting = asyncio.create_task(pool.asubmit(do_nothing))
        while pool.waiting == 0:
            await asyncio.sleep(0)
        release.set()
        while pool.waiting:
            time.sleep(0.001)  # the loop must not learn of its slot before the cancellation
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting
        assert pool.running == 0

    with TaskPool(1) as pool, occupied(pool, 1) as release:
        asyncio.run(main(pool, release))
        assert pool.submit(lambda: "free").result(20) == "free"


def test_a_slot_is_not_lost_to_a_submitter_whose_loop_is_closed() -> None:
    with TaskPool(1) as pool:
        with occupied(pool, 1):
            loop = asyncio.new_event_loop()
            submitting = loop.create_task(pool.asubmit(do_nothing))
            loop.run_until_complete(asyncio.sleep(0))
            assert pool.waiting == 1
            loop.close()
        assert pool.submit(lambda: "free").result(20) == "free"
        with pytest.raises(GeneratorExit):
            submitting.get_coro().throw(GeneratorExit)
        submitting._log_destroy_pending = False  # type: ignore[attr-defined]


def test_ten_thousand_submitters_wait_on_one_loop() -> None:
    async def main(pool: TaskPool, release: threading.Event) -> int:
        submitting = [asyncio.create_task(pool.asubmit(asyncio.sleep, 0, 1)) for _ in range(10_000)]
        while pool.waiting < 10_000:
            await asyncio.sleep(0.01)
        release.set()
        return sum([await (await submission) for submission in submitting])

    with TaskPool(8) as pool, occupied(pool, 8) as release:
        assert asyncio.run(main(pool, release)) == 10_000


def test_a_handle_can_be_awaited_and_cancelled_through_the_await(eventually: Eventually) -> None:
    handles: list[TaskHandle] = []

    async def main(pool: TaskPool) -> None:
        handles.append(pool.submit(asyncio.sleep, 60))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(handles[0], 0.1)

    with TaskPool(1) as pool:
        asyncio.run(main(pool))
        eventually(handles[0].cancelled)


def test_coroutines_may_submit_to_their_own_pool() -> None:
    with TaskPool(3) as pool:

        async def parent() -> int:
            children = [await pool.asubmit(asyncio.sleep, 0, number) for number in range(20)]
            return sum([await child for child in children])

        assert pool.submit(parent).result(20) == sum(range(20))


def test_asyncio_tasks_that_a_coroutine_did_not_wait_for_end_with_the_pool() -> None:
    ended = threading.Event()

    async def child() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    children = []

    async def parent() -> None:
        children.append(asyncio.create_task(child()))
        await asyncio.sleep(0)

    with TaskPool(1) as pool:
        pool.submit(parent).result(20)
        assert not ended.is_set()
    assert ended.is_set()
