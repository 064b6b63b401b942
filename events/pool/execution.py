"""Execution: runs functions, and ends functions and coroutines."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from functools import partial
from types import CoroutineType, FunctionType
from typing import Any

from . import connections
from .handle import TaskHandle, current_task

OnError = Callable[[TaskHandle[Any], BaseException], object]


class Execution:
    """Runs functions, and ends functions and coroutines. An error of a task never leaves this class."""

    def __init__(self, name: str, *, logger: logging.Logger, on_error: OnError | None) -> None:
        self._name = name
        self._logger = logger
        self._on_error = on_error

    def run_function(self, task: TaskHandle[Any]) -> None:
        """Run the task in this thread, unless it was cancelled first."""
        if not task.start():
            return
        # A task that runs inside another one must not close the connection that the outer one is using.
        outermost = current_task() is None
        if outermost:
            connections.close_old()
        result, failure = None, None
        try:
            assert task.context is not None
            result = task.context.run(task.call)
            if type(result) is CoroutineType:
                result.close()
                raise TypeError(f"{task.name} returned a coroutine, which nothing runs: submit its coroutine function")
        except BaseException as error:  # noqa: BLE001 every error fails the task alone, SystemExit too
            failure = error
        if outermost:
            connections.close_old()
        try:
            self.settle(task, result=result, error=failure)
        finally:
            del task, result, failure  # the failure's traceback refers to this frame

    def settle(
        self, task: TaskHandle[Any], /, *, result: Any = None, error: BaseException | None = None, report: bool = True
    ) -> None:
        """End a task that has run: with its result, as failed, or as cancelled by a CancelledError.

        report: log a failure and call `on_error`.
        The slot is free before anything that waits for the task continues, so `running` never counts a finished task.
        """
        if error is None:
            task.end()
            task.set_result(result)
        elif isinstance(error, asyncio.CancelledError):
            task.end(cancelled=True)
            task.set_cancelled()
        else:
            if report:
                self._report(task, error)
            task.end(failed=True)
            task.set_exception(error)

    def _report(self, task: TaskHandle[Any], error: BaseException) -> None:
        said = partial(self._logger.error, "task %s failed in %s", task.name, self._name, exc_info=error)
        if task.context is None:
            said()
        else:
            task.context.run(said)  # the line tells what the submitter's lines tell
        if self._on_error is None:
            return
        try:
            self._on_error(task, error)
        except BaseException:  # an error of on_error must change neither the task nor the pool
            self._logger.exception("on_error of %s failed", self._name)


def is_coroutine_function(fn: Callable[..., Any]) -> bool:
    """Whether a call gives a coroutine: an `async def`, a partial of one, an object whose `__call__` is one."""
    if type(fn) is FunctionType and not fn.__dict__:
        return bool(fn.__code__.co_flags & inspect.CO_COROUTINE)
    while isinstance(fn, partial):
        fn = fn.func
    return asyncio.iscoroutinefunction(fn) or asyncio.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004
