"""The task pool: the names, signatures and errors that its users rely on."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import events.pool
from events.pool import PoolError, TaskHandle, TaskPool
from tests.events.pool.occupy import occupied


def parameters(function: Callable[..., object]) -> dict[str, object]:
    """Names with their defaults; `*` before what is keyword-only."""
    return {
        ("*" if parameter.kind is parameter.KEYWORD_ONLY else "") + name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
    }


REQUIRED = inspect.Parameter.empty


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            TaskPool,
            {"size": 10_000, "*max_threads": None, "*max_waiting": 0, "*nonblocking": False, "*idle_timeout": 10.0}
            | {"*prestart": False, "*on_error": None, "*logger": None, "*name": "taskpool"},
        ),
        (TaskPool.submit, {"fn": REQUIRED, "args": REQUIRED, "kwargs": REQUIRED}),
        (TaskPool.try_submit, {"fn": REQUIRED, "args": REQUIRED, "kwargs": REQUIRED}),
        (TaskPool.asubmit, {"fn": REQUIRED, "args": REQUIRED, "kwargs": REQUIRED}),
        (TaskPool.run, {"fn": REQUIRED, "args": REQUIRED, "kwargs": REQUIRED}),
        (TaskPool.spawn, {"fn": REQUIRED, "args": (), "kwargs": None, "*wait_timeout": None, "*timeout": None}),
        (TaskPool.close, {"timeout": None, "*cancel_grace": 1.0}),
        (TaskPool.aclose, {"timeout": None, "*cancel_grace": 1.0}),
        (TaskPool.shutdown, parameters(Executor.shutdown)),
        (TaskPool.map, parameters(Executor.map)),
    ],
)
def test_the_public_methods_keep_their_signatures(function: Callable[..., object], expected: dict[str, object]) -> None:
    assert parameters(function) == expected


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        ("PoolError", {RuntimeError}),
        ("PoolClosedError", {PoolError}),
        ("PoolOverloadedError", {PoolError}),
        ("PoolDeadlockError", {events.pool.PoolOverloadedError}),
        ("SubmitTimeoutError", {PoolError, TimeoutError}),
        ("TaskTimeoutError", {PoolError, TimeoutError}),
    ],
)
def test_the_errors_keep_their_base_classes(error: str, bases: set[type]) -> None:
    assert set(getattr(events.pool, error).__bases__) == bases


def test_a_task_may_have_arguments_of_any_name() -> None:
    with TaskPool(2) as pool:
        given = {"fn": 1, "self": 2, "timeout": 3, "args": 4}
        for handle in (pool.submit(dict, **given), pool.try_submit(dict, **given), pool.spawn(dict, (), given)):
            assert isinstance(handle, TaskHandle)
            assert isinstance(handle, Future)
            assert handle.result(20) == given
        assert pool.run(dict, **given) == given


def test_map_cancels_the_remaining_tasks_when_its_iterator_ends() -> None:
    with TaskPool(10, max_threads=1) as pool, occupied(pool, 1) as release:
        results = pool.map(threading.Event().wait, [60], timeout=0.05)
        with pytest.raises(TimeoutError):
            next(results)
        assert pool.running == 1
        release.set()


def test_work_in_a_process_pool_counts_as_a_task_of_this_pool() -> None:
    """The example in the package's docstring."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes, TaskPool(2) as pool:

        async def in_process(function: Callable[..., object], *arguments: object) -> object:
            return await asyncio.get_running_loop().run_in_executor(processes, function, *arguments)

        assert pool.submit(in_process, os.getpid).result(60) != os.getpid()
        assert pool.submit(in_process, pow, 2, 10).result(60) == 1024
        assert isinstance(pool.submit(in_process, divmod, 1, 0).exception(60), ZeroDivisionError)
        assert (pool.running, pool.stats().failed) == (0, 1)
