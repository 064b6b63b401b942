"""The task pool: cancelling, time limits and context variables."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import CancelledError, wait
from contextvars import ContextVar, copy_context

import pytest

from events.pool import TaskHandle, TaskPool, TaskTimeoutError, check_cancelled, current_task
from tests.events.pool.occupy import Eventually, do_nothing, occupied

user: ContextVar[str] = ContextVar("user", default="nobody")


def work_until_cancelled() -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        check_cancelled()
        time.sleep(0.005)


def test_a_task_cancelled_before_its_start_never_runs_and_frees_its_slot(caplog: pytest.LogCaptureFixture) -> None:
    ran = threading.Event()
    with TaskPool(10, max_threads=1) as pool, occupied(pool, 1):
        waiting = pool.submit(ran.set)
        assert pool.running == 2
        assert waiting.cancel()
        assert waiting.cancelled()
        assert pool.running == 1
        assert wait([waiting], 20).done == {waiting}
        assert waiting.cancel()
        with pytest.raises(CancelledError):
            waiting.result(20)
    assert not ran.is_set()
    assert pool.stats().cancelled == 1
    assert caplog.records == []


def test_a_cancelled_coroutine_gets_the_error_where_it_waits(
    eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    saw: list[BaseException] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            saw.append(error)
            raise

    with TaskPool(10) as pool:
        task = pool.submit(work)
        eventually(task.running)
        assert task.cancel()
        with pytest.raises(CancelledError):
            task.result(20)
        assert task.cancelled()
        assert pool.running == 0
        assert pool.stats().cancelled == 1
    assert len(saw) <= 1
    assert caplog.records == []


def test_a_coroutine_cancelled_at_any_time_around_its_start_gives_its_slot_back() -> None:
    with TaskPool(4) as pool:
        for _ in range(200):
            pool.submit(asyncio.sleep, 60).cancel()
        wait([pool.submit(asyncio.sleep, 0) for _ in range(4)], 20)
        assert pool.running == 0
        assert pool.stats().cancelled == 200


def test_a_cancelled_function_gets_the_error_at_its_next_check(
    eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    with TaskPool(1) as pool:
        task = pool.submit(work_until_cancelled)
        eventually(task.running)
        assert task.cancel()
        with pytest.raises(CancelledError):
            task.result(20)
        assert task.cancelled()
        assert pool.submit(do_nothing).result(20) is None
    assert caplog.records == []


def test_a_task_that_has_ended_cannot_be_cancelled() -> None:
    with TaskPool(1) as pool:
        task = pool.submit(lambda: "done")
        assert task.result(20) == "done"
        assert not task.cancel()
        assert not task.cancelled()


@pytest.mark.parametrize("work", [work_until_cancelled, lambda: None, asyncio.sleep])
def test_a_task_over_its_time_limit_fails_with_it(work: object, caplog: pytest.LogCaptureFixture) -> None:
    if work is asyncio.sleep:
        arguments: tuple[float, ...] = (60,)
    else:
        arguments = ()
    with TaskPool(1) as pool:
        began = time.monotonic()
        task = pool.spawn(work, arguments, timeout=0.1)  # type: ignore[arg-type]
        if work is work_until_cancelled or work is asyncio.sleep:
            with pytest.raises(TaskTimeoutError):
                task.result(20)
            assert 0.09 <= time.monotonic() - began < 20
            assert not task.cancelled()
            assert len(caplog.records) == 1
        else:
            assert task.result(20) is None
        assert pool.running == 0


def test_a_timeout_error_that_a_coroutine_raises_is_not_its_time_limit() -> None:
    async def work() -> None:
        raise TimeoutError("mine")

    with TaskPool(1) as pool:
        error = pool.spawn(work, timeout=20).exception(20)
        assert type(error) is TimeoutError


def test_a_task_can_find_itself_and_its_remaining_time() -> None:
    seen: list[tuple[TaskHandle | None, float | None]] = []

    def look() -> None:
        task = current_task()
        seen.append((task, task and task.remaining()))

    async def look_async() -> None:
        await asyncio.sleep(0)
        look()
        await asyncio.to_thread(look)

    with TaskPool(1) as pool:
        first = pool.spawn(look, timeout=50)
        first.result(20)
        second = pool.submit(look_async)
        second.result(20)
    assert [task for task, _ in seen] == [first, second, second]
    assert seen[0][1] is not None
    assert 0 < seen[0][1] <= 50
    assert seen[1][1] is None
    assert current_task() is None


def test_outside_of_a_task_the_check_does_nothing() -> None:
    check_cancelled()


def test_a_task_runs_in_a_copy_of_the_submitters_context_variables() -> None:
    def change() -> str:
        before = user.get()
        user.set("changed")
        return before

    async def change_async() -> str:
        return change()

    token = user.set("alice")
    try:
        with TaskPool(1) as pool:
            for work in (change, change, change_async, change_async, change):
                assert pool.submit(work).result(20) == "alice"
        assert user.get() == "alice"
    finally:
        user.reset(token)


def test_coroutines_started_in_one_turn_each_get_their_own_submitters_variables() -> None:
    release = threading.Event()
    tasks: list[TaskHandle] = []

    async def hold_the_loop() -> None:
        release.wait(20)

    async def who() -> str:
        return user.get()

    def submit(name: str) -> None:
        user.set(name)
        tasks.append(pool.submit(who))

    with TaskPool(10) as pool:
        pool.submit(hold_the_loop)
        for name in ("alice", "bob"):
            copy_context().run(submit, name)
        release.set()
        assert [task.result(20) for task in tasks] == ["alice", "bob"]
