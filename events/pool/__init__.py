"""The task pool: bounded, for functions and coroutines, with backpressure instead of a queue.

    pool = get_pool()
    handle = pool.submit(send_digest, user_id)     # waits while the pool is full
    handle.result()

It needs nothing but the standard library; where Django is in use, its database connections are looked after.

Threads share one core's worth of Python. For work that fills a processor, let a coroutine task await the standard
library's process pool, so that it takes a slot here while it runs there:

    processes = ProcessPoolExecutor(mp_context=get_context("spawn"))    # inherits no connection, no lock

    async def apart(function, *arguments):
        return await asyncio.get_running_loop().run_in_executor(processes, function, *arguments)

    handle = pool.submit(apart, render_chart, figures)

A pool of processes is no lane of this one, since it could not keep its promises: what has started there can be neither
cancelled nor timed out, a process that dies takes the work of all others along, and one that is stuck keeps the
program from ending. Who needs processes that can be killed takes a library for it, such as pebble.
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
