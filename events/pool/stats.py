"""PoolStats: what an operator wants to know of a pool."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A pool's numbers at one moment.

    `running + free == capacity`, unless the pool has just become smaller;
    `submitted == running + completed + failed + cancelled`.
    """

    #: Slots taken by tasks that run or are ready to start.
    running: int
    #: Slots that are free.
    free: int
    #: Submitters that wait for a slot.
    waiting: int
    #: Slots in all.
    capacity: int
    #: Threads alive, the idle ones, the event loop's and those of its database lanes included.
    threads: int
    #: Tasks accepted since the pool was made, and how they ended.
    submitted: int
    completed: int
    failed: int
    cancelled: int
    #: Submissions turned away because the pool was full.
    rejected: int
