"""Types that the pool's files share: Lane, Waiter, and the protocols Task and Slots.

They stand in a file of their own so that no two files import each other, not even for types.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from .errors import PoolError


class Task(Protocol):
    """What the slots and the wait-for graph use of a TaskHandle."""

    #: Where the task holds its slot; None once it has given the slot back.
    lane: Lane | None
    #: Lanes and tasks of its own pool that it waits for without limit.
    waits_for: tuple[Lane | Task, ...]
    #: Tasks of its own pool that wait without limit for its end.
    awaited_by: tuple[Task, ...]

    def cancel(self) -> bool:
        """As `Future.cancel`."""

    def running(self) -> bool:
        """As `Future.running`."""


class Slots(Protocol):
    """What a task uses of the Admission that gave it its slot."""

    def check_may_block(self) -> None:
        """Raise PoolDeadlockError if the calling thread runs the pool's event loop, which must not block."""

    def release(self, task: Task, /, *, failed: bool = False, cancelled: bool = False) -> None:
        """Give back the slot of a task that has ended."""

    def waiting_for(self, task: Task, /, *, on: Task) -> AbstractContextManager[None]:
        """While inside, `task` waits for the end of `on`. Raises PoolDeadlockError if that could never come."""


@dataclass(eq=False, slots=True)
class Waiter:
    """A submitter that waits for a slot. Each has its own `wake`, so that a free slot wakes exactly one."""

    lane: Lane
    #: The task of this pool that submits, if its wait has no limit; None for other submitters.
    task: Task | None
    #: Lets the submitter continue. Raises RuntimeError if its event loop is closed.
    wake: Callable[[], object]
    #: Place in the order of arrival.
    number: int = 0
    admitted: bool = False
    #: Why it gets no slot.
    error: PoolError | None = None


@dataclass(eq=False, slots=True)
class Lane:
    """The slots that one kind of task holds, and the submitters that wait for one."""

    slots: Slots
    #: Most tasks at once.
    limit: int = 0
    #: Tasks that hold a slot.
    running: int = 0
    #: Those of them that wait without limit for a slot or for another task of the pool.
    blocked: set[Task] = field(default_factory=set)
    #: By number, so in order of arrival.
    waiters: OrderedDict[int, Waiter] = field(default_factory=OrderedDict)

    @property
    def full(self) -> bool:
        return self.running >= self.limit
