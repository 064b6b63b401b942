"""The task pool: bounded, for functions and coroutines, with backpressure instead of a queue.

    pool = get_pool()
    handle = pool.submit(send_digest, user_id)     # waits while the pool is full
    handle.result()

It needs nothing but the standard library; where Django is in use, its database connections are looked after.
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
