"""WaitGraph: the wait-for graph of a pool, and whether a wait in it can ever end.

Nodes are tasks and lanes. An edge leads from a task to what it waits for without limit: to a lane, for a slot in it;
to a task, for its end. Waits with a limit end by themselves and are no edges.

Three assumptions:

* A task with no edge ends some day, if it has a thread.
* Each function needs a worker thread, and keeps it while it is blocked.
* A coroutine, or a caller of `run`, needs no thread of the pool's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .types import Lane, Task


class WaitGraph:
    """Edges and questions about them. The admission calls it under its lock.

    functions: the lane whose tasks need worker threads; others: all further lanes.
    workers: gives the number of functions that can be under way at once.
    """

    def __init__(self, functions: Lane, *others: Lane, workers: Callable[[], int]) -> None:
        self._functions = functions
        self._others = others
        self._workers = workers

    def add(self, task: Task, target: Lane | Task) -> None:
        """Add an edge: the task waits for the target."""
        task.waits_for = (*task.waits_for, target)
        if task.lane is not None:
            task.lane.blocked.add(task)

    def remove(self, task: Task, target: Lane | Task) -> None:
        """Remove one edge: the task no longer waits for the target. Raises ValueError if there is none."""
        place = task.waits_for.index(target)
        task.waits_for = task.waits_for[:place] + task.waits_for[place + 1 :]
        if not task.waits_for and task.lane is not None:
            task.lane.blocked.discard(task)

    def closes_cycle(self, task: Task, target: Task) -> bool:
        """Whether the target already waits for the task, directly or through others."""
        return task in self._reachable(target)

    def never_ends(self, task: Task) -> bool:
        """Whether a task can never end, because it needs a function that will never get a thread."""
        return not self._a_function_ends() and not self._ends(task)

    def never_frees(self, lane: Lane) -> bool:
        """Whether no submitter to this lane can ever be admitted: no task will end that could free a slot.

        1. The function lane is full: only the end of a function frees a slot in it.
        2. Else the pool is full: the end of any task frees a slot. Some task ends if one is not blocked and, being a
           function, has a thread.
        """
        if lane is self._functions and lane.full:
            return not self._a_function_ends()
        return not self._a_function_runs() and not self._another_runs()

    def _a_function_runs(self) -> bool:
        """Whether a function is not blocked, and not all threads are taken by blocked ones."""
        blocked = len(self._functions.blocked)
        return blocked < self._functions.running and blocked < self._workers()

    def _another_runs(self) -> bool:
        """Whether a task of another lane is not blocked."""
        return any(len(lane.blocked) < lane.running for lane in self._others)

    def _a_function_ends(self) -> bool:
        return self._a_function_runs() or any(self._ends(task) for task in self._functions.blocked)

    def _ends(self, task: Task) -> bool:
        """Whether a task ends although no function runs: all that it waits for happens, directly and through others."""
        return all(self._happens(target) for target in self._reachable(task))

    def _happens(self, target: Lane | Task) -> bool:
        """Whether one node is no obstacle by itself, although no function runs; its own edges are not looked at.

        A lane: a task of a lane that needs no thread ends, and frees a slot; the function lane gets none.
        A task: it is no function, or it has a thread already, as it waits for something.
        """
        if isinstance(target, Lane):
            return target is not self._functions and self._another_runs()
        return target.lane is not self._functions or bool(target.waits_for)

    def _reachable(self, task: Task) -> Iterator[Lane | Task]:
        """The task, its targets, their targets, and so on; each once."""
        seen: set[Lane | Task] = {task}
        pending: list[Lane | Task] = [task]
        while pending:
            node = pending.pop()
            yield node
            if not isinstance(node, Lane):
                pending += (further := set(node.waits_for) - seen)
                seen |= further
