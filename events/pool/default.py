"""get_pool: the default pool of the process."""

from __future__ import annotations

import atexit
import os
import sys
import threading

from .taskpool import TaskPool

#: Seconds that running tasks get to finish when the process exits without having closed the pool.
EXIT_TIMEOUT = 2.0

_lock = threading.Lock()
_pool: TaskPool | None = None


def get_pool() -> TaskPool:
    """The process's own pool: the first call makes it, all others get the same.

    Its size is Django's `settings.GOROUTINE_POOL_SIZE` where settings are configured, else the environment variable
    GOROUTINE_POOL_SIZE, else 10000. Raises ValueError, with the cure, for a size that is not an integer of at least 1.
    """
    global _pool
    if _pool is None:
        with _lock:
            if _pool is None:
                _pool = TaskPool(_size(), name="pool")
                atexit.register(_pool.close, EXIT_TIMEOUT)
    return _pool


def _size() -> int:
    value = os.environ.get("GOROUTINE_POOL_SIZE", 10_000)
    conf = sys.modules.get("django.conf")
    if conf is not None and conf.settings.configured:
        value = getattr(conf.settings, "GOROUTINE_POOL_SIZE", value)
    try:
        size = int(value)
    except ValueError:
        size = 0
    if size < 1:
        raise ValueError(
            f"GOROUTINE_POOL_SIZE must be an integer of at least 1, as in GOROUTINE_POOL_SIZE=10000; it is {value!r}"
        )
    return size


def _renew_lock_after_fork() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock_after_fork)
