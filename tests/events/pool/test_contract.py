"""The task pool: the names, signatures and errors that others rely on."""

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
from tests.events.pool.test_admission import held


def parameters(function: Callable[..., object]) -> dict[str, object]:
    """Names with their defaults; `*` before what is keyword-only."""
    return {
        ("*" if parameter.kind is parameter.KEYWORD_ONLY else "") + name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
    }


NONE = inspect.Parameter.empty


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            TaskPool,
            {"size": 10_000, "*max_threads": None, "*max_waiting": 0, "*nonblocking": False, "*idle_timeout": 10.0}
            | {"*prestart": False, "*on_error": None, "*logger": None, "*name": "taskpool"},
        ),
        (TaskPool.submit, {"fn": NONE, "args": NONE, "kwargs": NONE}),
        (TaskPool.try_submit, {"fn": NONE, "args": NONE, "kwargs": NONE}),
        (TaskPool.asubmit, {"fn": NONE, "args": NONE, "kwargs": NONE}),
        (TaskPool.run, {"fn": NONE, "args": NONE, "kwargs": NONE}),
        (TaskPool.spawn, {"fn": NONE, "args": (), "kwargs": None, "*wait_timeout": None, "*timeout": None}),
        (TaskPool.close, {"timeout": None, "*cancel_grace": 1.0}),
        (TaskPool.aclose, {"timeout": None, "*cancel_grace": 1.0}),
        (TaskPool.shutdown, parameters(Executor.shutdown)),
        (TaskPool.map, parameters(Executor.map)),
    ],
)
def test_what_is_called_keeps_its_signature(function: Callable[..., object], expected: dict[str, object]) -> None:
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
def test_errors_keep_their_family(error: str, bases: set[type]) -> None:
    assert set(getattr(events.pool, error).__bases__) == bases


def test_a_task_may_have_arguments_of_any_name() -> None:
    with TaskPool(2) as pool:
        given = {"fn": 1, "self": 2, "timeout": 3, "args": 4}
        for handle in (pool.submit(dict, **given), pool.try_submit(dict, **given), pool.spawn(dict, (), given)):
            assert isinstance(handle, TaskHandle)
            assert isinstance(handle, Future)
            assert handle.result(20) == given
        assert pool.run(dict, **given) == given


def test_map_lets_go_of_what_nobody_waits_for_any_more() -> None:
    with TaskPool(10, max_threads=1) as pool, held(pool, 1) as release:
        results = pool.map(threading.Event().wait, [60], timeout=0.05)
        with pytest.raises(TimeoutError):
            next(results)
        assert pool.running == 1
        release.set()


def test_processes_take_the_computing_under_the_pools_count() -> None:
    """What the package says of work for the processor."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes, TaskPool(2) as pool:

        async def apart(function: Callable[..., object], *arguments: object) -> object:
            return await asyncio.get_running_loop().run_in_executor(processes, function, *arguments)

        assert pool.submit(apart, os.getpid).result(60) != os.getpid()
        assert pool.submit(apart, pow, 2, 10).result(60) == 1024
        assert isinstance(pool.submit(apart, divmod, 1, 0).exception(60), ZeroDivisionError)
        assert (pool.running, pool.stats().failed) == (0, 1)
