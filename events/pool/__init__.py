"""The task pool: bounded, for functions and coroutines, with backpressure instead of a queue.

    pool = get_pool()
    handle = pool.submit(send_digest, user_id)     # waits while the pool is full
    handle.result()

Promise: never more than `size` tasks at once, no task lost or run twice, no wait that could never end.
Each process has its own pool; functions run on its worker threads, coroutines on its event-loop thread (see README.md).
It writes no table and needs the standard library only; where Django is in use, it closes its database connections.

All threads together use about one processor. For work that needs more, let a coroutine task await the standard
library's process pool: the task holds a slot here while the work runs there.

    processes = ProcessPoolExecutor(mp_context=get_context("spawn"))    # inherits no connection, no lock

    async def in_process(function, *arguments):
        return await asyncio.get_running_loop().run_in_executor(processes, function, *arguments)

    handle = pool.submit(in_process, render_chart, figures)

This pool starts no processes, because its promises would not hold there: a call that has started cannot be cancelled or
timed out, a process that dies fails the calls of all others, and a stuck one keeps the program from ending. If you need
processes that can be killed, use a library for them, such as pebble.
"""

from .default import get_pool
from .errors import (
    PoolClosedError,
    PoolDeadlockError,
    PoolError,
    PoolOverloadedError,
    SubmitTimeoutError,
    TaskTimeoutError,
)
from .handle import TaskHandle, check_cancelled, current_task
from .stats import PoolStats
from .taskpool import TaskPool

__all__ = [
    "PoolClosedError",
    "PoolDeadlockError",
    "PoolError",
    "PoolOverloadedError",
    "PoolStats",
    "SubmitTimeoutError",
    "TaskHandle",
    "TaskPool",
    "TaskTimeoutError",
    "check_cancelled",
    "current_task",
    "get_pool",
]
