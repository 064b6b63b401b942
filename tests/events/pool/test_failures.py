"""The task pool: the failure of a task affects no other task."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import wait
from typing import Any, NoReturn

import pytest

from events.pool import TaskHandle, TaskPool


def fail(error: BaseException) -> NoReturn:
    raise error


async def fail_async(error: BaseException) -> NoReturn:
    raise error


@pytest.mark.parametrize("failing", [fail, fail_async])
def test_a_failure_reaches_the_caller_and_the_log_and_leaves_the_pool_working(
    failing: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with TaskPool(1) as pool:
        with pytest.raises(ZeroDivisionError):
            pool.submit(failing, ZeroDivisionError("division by zero")).result(20)
        assert pool.running == 0
        records = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(records) == 1
        assert records[0].exc_info is not None
        assert records[0].exc_info[2] is not None
        assert failing.__name__ in records[0].getMessage()
        assert pool.submit(lambda: "next").result(20) == "next"
        assert pool.stats().failed == 1


def test_failures_are_logged_by_the_given_logger(caplog: pytest.LogCaptureFixture) -> None:
    with TaskPool(1, logger=logging.getLogger("mine")) as pool:
        wait([pool.submit(fail, ValueError())], 20)
    assert [record.name for record in caplog.records] == ["mine"]


def test_on_error_is_called_once_with_the_handle_and_the_error() -> None:
    calls: list[tuple[TaskHandle[Any], BaseException]] = []
    error = ValueError("once")
    with TaskPool(1, on_error=lambda handle, error: calls.append((handle, error))) as pool:
        handle = pool.submit(fail, error)
        assert handle.exception(20) is error
        pool.submit(lambda: None).result(20)
    assert calls == [(handle, error)]


def test_an_error_of_on_error_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("raised by the task")
    with TaskPool(1, on_error=lambda *_: fail(SystemExit("raised by on_error"))) as pool:
        assert pool.submit(fail, error).exception(20) is error
        assert pool.submit(lambda: "next").result(20) == "next"
    assert len(caplog.records) == 2


def test_a_thousand_failures_cost_the_pool_no_thread_and_no_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "events.pool")  # a thousand formatted tracebacks are slower than the tasks
    began = time.monotonic()
    with TaskPool(2, idle_timeout=300) as pool:
        errors = [pool.submit(fail, KeyError(number)) for number in range(1000)]
        assert [error.exception(60).args[0] for error in errors] == list(range(1000))
    assert time.monotonic() - began < 120


@pytest.mark.parametrize("failing", [fail, fail_async])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_an_error_that_would_end_the_process_ends_only_the_task(
    failing: Any, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer() -> str:
        return "still running"

    with TaskPool(2) as pool:
        assert pool.submit(failing, error).exception(20) is error
        assert pool.running == 0
        assert pool.submit(answer).result(20) == pool.submit(lambda: "still running").result(20) == "still running"
    assert len(caplog.records) == 1


def test_a_system_exit_in_a_child_of_a_coroutine_does_not_stop_the_loop() -> None:
    async def schedule_an_exit() -> None:
        asyncio.get_running_loop().call_soon(fail, SystemExit())
        await asyncio.sleep(0)  # the loop calls the callback before it continues here

    with TaskPool(2) as pool:
        assert pool.submit(schedule_an_exit).result(20) is None
        assert pool.submit(asyncio.sleep, 0, "still running").result(20) == "still running"


def test_an_error_in_a_callback_ends_no_thread() -> None:
    with TaskPool(1) as pool:
        started = threading.Event()
        handle = pool.submit(started.wait, 20)
        handle.add_done_callback(lambda _: fail(SystemExit()))
        started.set()
        assert pool.submit(lambda: "next").result(20) == "next"


def test_a_failed_task_is_not_run_again() -> None:
    runs: list[int] = []

    def run_and_fail() -> None:
        runs.append(1)
        raise ValueError

    with TaskPool(2) as pool:
        assert isinstance(pool.submit(run_and_fail).exception(20), ValueError)
    assert runs == [1]


def test_a_function_that_returns_a_coroutine_fails_instead_of_doing_nothing() -> None:
    async def work() -> None:
        pass

    with TaskPool(1) as pool, pytest.raises(TypeError, match="submit its coroutine function"):
        pool.submit(lambda: work()).result(20)


def test_wrong_arguments_fail_the_task() -> None:
    async def one(argument: int) -> int:
        return argument

    with TaskPool(1) as pool:
        assert isinstance(pool.submit(one).exception(20), TypeError)  # type: ignore[call-arg]
        assert isinstance(pool.submit(lambda argument: argument).exception(20), TypeError)  # type: ignore[call-arg]
        assert pool.running == 0
