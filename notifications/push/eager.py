"""Eager: begin a coroutine at once; a task is made of it only if it has to wait.

Almost every frame fits into the buffer of its connection. A task for each would cost more than sending it.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any


def begin(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Run a coroutine up to its first wait. Returns None if it is done, else the task that runs the rest.

    Raises what the coroutine raises before it waits. (From Python 3.12 on, `asyncio.eager_task_factory` is the same.)
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return None
    return asyncio.get_running_loop().create_task(_rest(coroutine, awaited))


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Wait for what the coroutine waits for, and go on with it. A task that is cancelled before then closes it."""
    try:
        yield awaited
    except BaseException:
        coroutine.close()
        raise
    yield from coroutine.__await__()
