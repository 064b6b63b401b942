"""PoolStats: the numbers of a pool at one moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The numbers of a pool at one moment.

    `running + free == capacity`, except after the pool became smaller, until enough tasks have ended;
    `submitted == running + completed + failed + cancelled`.
    """

    #: Slots held by tasks that run or are ready to start.
    running: int
    #: Slots that no task holds.
    free: int
    #: Submitters that wait for a slot.
    waiting: int
    #: Slots in all.
    capacity: int
    #: Live threads, busy or idle: workers, the event loop's thread and the database threads of coroutines.
    threads: int
    #: Tasks accepted since the pool was made, and how they ended.
    submitted: int
    completed: int
    failed: int
    cancelled: int
    #: Submissions refused because the pool was full.
    rejected: int
