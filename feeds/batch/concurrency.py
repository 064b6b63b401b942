"""Concurrency: how many chunks of a large table are worked on at once."""

from __future__ import annotations

from django.db import connection

from events.pool import get_pool

#: Chunks at once, unless the caller says otherwise. More hardly help where database and Python share a few cores.
DEFAULT_JOBS = 4
#: Threads that the task pool has for plain functions.
POOL_THREADS = 64


def max_jobs() -> int:
    """The most chunks at once. 1 on SQLite, which has one writer at a time.

    Elsewhere each chunk takes a connection, a slot and a thread of the pool, and one more connection reads the keys.
    """
    if connection.vendor == "sqlite":
        return 1
    connections = connection.settings_dict["OPTIONS"].get("pool")
    by_connections = connections["max_size"] - 1 if isinstance(connections, dict) else POOL_THREADS
    return max(1, min(by_connections, get_pool().capacity, POOL_THREADS))


def checked_jobs(jobs: int | None) -> int:
    """The number itself, or the default for None. Raises ValueError, with the cure, outside 1 to `max_jobs`."""
    most = max_jobs()
    if jobs is None:
        return min(DEFAULT_JOBS, most)
    if 1 <= jobs <= most:
        return jobs
    if most == 1 and connection.vendor == "sqlite":
        raise ValueError(f"jobs must be 1, not {jobs}: SQLite has one writer at a time")
    raise ValueError(
        f"jobs must be from 1 to {most}, not {jobs}: each takes a connection (DATABASE_POOL_SIZE, less one) and a slot "
        f"of the task pool (GOROUTINE_POOL_SIZE), and there are {POOL_THREADS} threads"
    )
