"""Calling: run a subscriber's function to its end. What did not run is an error."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from dramatiq.middleware import TimeLimitExceeded

#: Takes a time limit in milliseconds; returns a context manager that enforces it.
Guard = Callable[[int], AbstractContextManager[None]]

#: Seconds after which a coroutine that goes on after its time limit is interrupted again.
AGAIN = 0.5
#: Milliseconds after its time limit at which the thread of a coroutine that never awaits is interrupted.
GRACE = 2_000
#: Results whose work has not been done. A file is an iterator, too, so these are named one by one.
UNRUN = (Awaitable, Generator, AsyncGenerator, map, filter)


def unlimited(milliseconds: int) -> AbstractContextManager[None]:
    """No time limit."""
    return nullcontext()


class UnrunError(Exception):
    """A subscriber ended, but a part of its work never ran."""


def as_callable(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it is to be called; an async one as an `InEventLoop`.

    Raises TypeError for a generator function: nobody would iterate over what it returns.
    """
    inner: Any = function
    while inner is not None:
        if any(inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one) for one in (inner, _call_of(inner))):
            raise TypeError(
                f"{name_of(function)} has a yield, so calling it does not run it: write a plain or async function"
                " without yield, and leave out decorators such as contextmanager"
            )
        inner = inner.func if isinstance(inner, functools.partial) else getattr(inner, "__wrapped__", None)
    is_async = iscoroutinefunction(function) or iscoroutinefunction(_call_of(function))
    return InEventLoop(function) if is_async else function


def _call_of(instance: Any) -> Any:
    """The method that runs when this is called: of an object its class's `__call__`."""
    return next((vars(base)["__call__"] for base in type(instance).__mro__ if "__call__" in vars(base)), None)


def name_of(function: Callable[..., Any]) -> str:
    """Where a function is defined: "module.name"; also of a partial and of an object that is called."""
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    if not hasattr(inner, "__qualname__"):
        inner = type(inner)
    return f"{inner.__module__}.{inner.__qualname__}"


def call(function: Callable[..., Any], argument: Any, *, time_limit: int, guard: Guard = unlimited) -> None:
    """Run a function to its end.

    time_limit: milliseconds. It ends a coroutine at its next await; anything else is up to the guard.

    Raises UnrunError if the result is something that did not run, and TimeLimitExceeded, also where the function
    catches what interrupts it.
    """
    if isinstance(function, InEventLoop):
        result = function.run(argument, time_limit, guard)
    else:
        with guard(time_limit):
            result = function(argument)
    if result is not None:
        _refuse_unrun(result)


class InEventLoop:
    """An async function, run in an event loop. Its queries run in the calling thread, in the caller's transaction."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._run = async_to_sync(self._limited)

    def __call__(self, argument: Any) -> Any:
        """Run it without a limit."""
        return async_to_sync(self._function)(argument)

    def run(self, argument: Any, time_limit: int, guard: Guard) -> Any:
        """Run it; returns its result. time_limit: milliseconds."""
        with guard(time_limit + GRACE):
            return self._run(argument, time_limit, guard)

    async def _limited(self, argument: Any, time_limit: int, guard: Guard) -> Any:
        before = asyncio.all_tasks()
        with guard(time_limit + GRACE):
            result = await _Limited(self._function(argument), time_limit / 1000)
        unfinished = [task for task in asyncio.all_tasks() - before if not task.done()]
        for task in unfinished:
            task.cancel()
        if unfinished:
            raise UnrunError(
                f"{len(unfinished)} task(s) had not ended when the subscriber did, as {_kind(unfinished[0])}:"
                " await them, for example in an asyncio.TaskGroup"
            )
        return result


class _Limited:
    """Awaits something for a limited time.

    When the time is over, it is cancelled as usual. If it catches that and goes on, TimeLimitExceeded is raised in it,
    and if it catches that, too, it is left where it stands.
    """

    def __init__(self, awaitable: Awaitable[Any], seconds: float) -> None:
        self._awaitable, self._seconds = awaitable, seconds
        self._interruptions = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def interrupt() -> None:
            self._interruptions += 1
            task.cancel()
            self._timer = loop.call_later(AGAIN, interrupt)

        self._timer = loop.call_later(self._seconds, interrupt)
        try:
            return (yield from self._steps())
        except BaseException as error:
            if self._interruptions:
                raise TimeLimitExceeded from error
            raise
        finally:
            self._timer.cancel()
            for _ in range(self._interruptions):
                task.uncancel()

    def _steps(self) -> Generator[Any, Any, Any]:
        steps: Any = self._awaitable.__await__()
        step, value = steps.send, None
        while True:
            try:
                awaited = step(value)
            except StopIteration as end:
                if self._interruptions:
                    raise TimeLimitExceeded from None
                return end.value
            try:
                step, value = steps.send, (yield awaited)
            except BaseException as error:
                if self._interruptions > 2:
                    _never_collect(steps)
                    raise TimeLimitExceeded from error
                step, value = steps.throw, TimeLimitExceeded() if self._interruptions == 2 else error


def _never_collect(abandoned: Any) -> None:
    """Python closes a coroutine that nobody holds any more. This one catches everything and goes on, so the close would
    not end: it stays in memory instead."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(abandoned))


def _refuse_unrun(result: Any) -> None:
    parts = result.values() if isinstance(result, dict) else result
    several = parts if isinstance(result, (dict, list, tuple, set, frozenset)) else (result,)
    unrun = [one for one in several if isinstance(one, UNRUN)]
    if not unrun:
        return
    kind = _kind(unrun[0])
    for one in unrun:
        _close(one)
    raise UnrunError(
        f"it returned {kind}, which nobody runs: await it in an `async def` subscriber, or do the work before returning"
    )


def _kind(unrun: Any) -> str:
    """What a person calls it: its type, and the name of its function where it has one."""
    coroutine = unrun.get_coro() if isinstance(unrun, asyncio.Task) else unrun
    name = getattr(coroutine, "__qualname__", "")
    return f"{type(unrun).__name__} {name}".strip()


def _close(unrun: Any) -> None:
    """So that no warning follows that it was never awaited."""
    close = getattr(unrun, "close", None) or getattr(unrun, "cancel", None)
    with suppress(Exception):
        if callable(close):
            close()
