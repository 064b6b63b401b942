"""Waits: which task of a pool waits for what, and whether that can ever come."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import PoolError

if TYPE_CHECKING:
    from .admission import Admission
    from .handle import TaskHandle


@dataclass(eq=False, slots=True)
class Waiter:
    """A blocked submitter. Each has a `wake` of its own, so that a free slot wakes exactly one."""

    lane: "Lane"
    #: The task of the same pool that it holds up, if it may wait without limit.
    holder: "TaskHandle[Any] | None"
    #: Lets the submitter go on; RuntimeError if its event loop is gone.
    wake: Callable[[], object]
    number: int = 0
    admitted: bool = False
    refusal: PoolError | None = None


@dataclass(eq=False, slots=True)
class Lane:
    """The slots that one kind of task takes, and who waits for one more."""

    admission: "Admission"
    limit: int = 0
    running: int = 0
    #: Those of the running ones that wait without limit, for a slot or another task of the pool.
    blocked: set["TaskHandle[Any]"] = field(default_factory=set)
    waiters: OrderedDict[int, Waiter] = field(default_factory=OrderedDict)

    @property
    def full(self) -> bool:
        return self.running >= self.limit


class Waits:
    """What the tasks of a pool wait for. The admission calls it under its lock.

    A task that does not wait is taken to end some day. A function that has not started needs a thread for it.
    """

    def __init__(self, functions: Lane, *others: Lane, workers: Callable[[], int]) -> None:
        self._functions = functions
        self._others = others
        self._workers = workers

    def begin(self, task: "TaskHandle[Any]", what: "Lane | TaskHandle[Any]") -> None:
        task.waits_for = (*task.waits_for, what)
        if task.lane is not None:
            task.lane.blocked.add(task)

    def end(self, task: "TaskHandle[Any]", what: "Lane | TaskHandle[Any]") -> None:
        place = task.waits_for.index(what)
        task.waits_for = task.waits_for[:place] + task.waits_for[place + 1 :]
        if not task.waits_for and task.lane is not None:
            task.lane.blocked.discard(task)

    def is_ring(self, task: "TaskHandle[Any]", other: "TaskHandle[Any]") -> bool:
        """Whether the other already waits for the task, be it by way of third ones."""
        return task in self._chain(other)

    def is_in_vain(self, task: "TaskHandle[Any]") -> bool:
        """Whether a task can never end, since it needs a function that no thread will ever be free for."""
        return not self._functions_go_on() and not self._goes_on(task)

    def is_stuck(self, lane: Lane) -> bool:
        """Whether no task is left that could free a slot of a full lane."""
        if lane is self._functions and lane.full:
            return not self._functions_go_on()
        return not self._functions_move() and not self._others_move()

    def _functions_move(self) -> bool:
        waiting = len(self._functions.blocked)
        return waiting < self._functions.running and waiting < self._workers()

    def _others_move(self) -> bool:
        return any(len(lane.blocked) < lane.running for lane in self._others)

    def _functions_go_on(self) -> bool:
        return self._functions_move() or any(self._goes_on(task) for task in self._functions.blocked)

    def _goes_on(self, task: "TaskHandle[Any]") -> bool:
        """Whether a task ends, all that it waits for included, while no function moves."""
        return all(self._comes(what) for what in self._chain(task))

    def _comes(self, what: "Lane | TaskHandle[Any]") -> bool:
        if isinstance(what, Lane):
            return what is not self._functions and self._others_move()
        return what.lane is not self._functions or bool(what.waits_for)

    def _chain(self, task: "TaskHandle[Any]") -> "Iterator[Lane | TaskHandle[Any]]":
        """The task, what it waits for, what that waits for…"""
        seen: set[Lane | TaskHandle[Any]] = {task}
        pending: list[Lane | TaskHandle[Any]] = [task]
        while pending:
            what = pending.pop()
            yield what
            if not isinstance(what, Lane):
                pending += (further := set(what.waits_for) - seen)
                seen |= further
