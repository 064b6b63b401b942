"""A coroutine is begun at once, and becomes a task only if it has to wait."""

from __future__ import annotations

import asyncio

import pytest

from notifications.push.eager import begin

pytestmark = pytest.mark.anyio


async def test_what_need_not_wait_is_done_without_a_task() -> None:
    done = []

    async def work() -> None:
        done.append(1)

    assert begin(work()) is None
    assert done == [1]


async def test_what_waits_goes_on_in_a_task() -> None:
    opened, said = asyncio.Event(), []

    async def work() -> None:
        said.append("before")
        await opened.wait()
        await asyncio.sleep(0)
        said.append("after")

    task = begin(work())
    assert task is not None
    assert said == ["before"]
    opened.set()
    await task
    assert said == ["before", "after"]


async def test_an_error_before_the_first_wait_is_raised_at_once_and_a_later_one_by_the_task() -> None:
    async def fail(after: float | None) -> None:
        if after is not None:
            await asyncio.sleep(after)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        begin(fail(None))
    task = begin(fail(0))
    assert task is not None
    with pytest.raises(ValueError, match="no"):
        await task


async def test_a_cancelled_task_lets_the_coroutine_tidy_up() -> None:
    full: asyncio.Queue[int] = asyncio.Queue(maxsize=1)
    full.put_nowait(1)
    task = begin(full.put(2))
    assert task is not None
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert full.get_nowait() == 1
    assert full.empty()
