"""Jobs: how many chunks of a large table are under way at once."""

from __future__ import annotations

from django.db import connection

from events.pool import get_pool

#: More hardly help where database and Python share a few cores; who has many says so by `--jobs`.
DEFAULT = 4
#: Threads of the pool for functions.
THREADS = 64


def most_jobs() -> int:
    """How many there may be: SQLite has one writer; elsewhere each takes a slot and a thread of the pool and a
    connection, and one more connection reads what comes next."""
    if connection.vendor == "sqlite":
        return 1
    connections = connection.settings_dict["OPTIONS"].get("pool")
    most = connections["max_size"] - 1 if isinstance(connections, dict) else THREADS
    return max(1, min(most, get_pool().capacity, THREADS))


def checked_jobs(jobs: int | None) -> int:
    """That many, or by default a few. Raises ValueError, with the cure, for less than 1 or more than there may be."""
    most = most_jobs()
    if jobs is None:
        return min(DEFAULT, most)
    if 1 <= jobs <= most:
        return jobs
    if most == 1 and connection.vendor == "sqlite":
        raise ValueError(f"jobs must be 1, not {jobs}: SQLite has one writer at a time")
    raise ValueError(
        f"jobs must be from 1 to {most}, not {jobs}: each takes a connection (DATABASE_POOL_SIZE, less one) and a slot "
        f"of the task pool (GOROUTINE_POOL_SIZE), and there are {THREADS} threads"
    )
