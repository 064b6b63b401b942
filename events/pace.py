"""Pace: how many events of a subscriber fit into one transaction.

A transaction that stays open for long holds up others: rows that it locked, VACUUM, and on SQLite every writer.
"""

from __future__ import annotations

import time

#: Seconds that the events of a group may take in one transaction, together. One event alone has its time limit.
BUDGET = 2.0
#: Seconds for which events run one by one after their groups met in a deadlock: at first, at most.
ALONE = (5.0, 60.0)


class PutOffError(Exception):
    """No failure: the events run later, or in smaller groups."""


class OverBudgetError(PutOffError):
    """A group takes too long for one transaction: it is rolled back, and runs again in smaller parts."""


class Pace:
    """Seconds per event, as measured lately in this process."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._alone = self._alone_until = 0.0

    def fits(self, events: int) -> int:
        """How many of these events one transaction takes, 1 at least: half the budget, so that a group is rarely over
        it. A subscriber that was never measured takes all. After a deadlock it takes one for a while."""
        if time.monotonic() < self._alone_until:
            return 1
        return events if self._seconds * events * 2 <= BUDGET else max(1, int(BUDGET / 2 / self._seconds))

    def deadlocked(self) -> None:
        """Groups of this subscriber waited for each other in a circle. That costs a second each time, however small the
        groups are; events that lock one row each cannot meet so, one by one."""
        now = time.monotonic()
        if now < self._alone_until:
            return  # these groups had begun before
        again = now < self._alone_until + ALONE[1]
        self._alone = min(2 * self._alone, ALONE[1]) if again and self._alone else ALONE[0]
        self._alone_until = now + self._alone

    def learn(self, seconds: float) -> None:
        """An event took this long: the pace slows down at once, and gains speed step by step."""
        self._seconds = max(seconds, (seconds + self._seconds) / 2)


class Stopwatch:
    """Measures the events of one transaction."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._started = time.monotonic()

    def check(self, *, done: int, of: int) -> None:
        """Raise OverBudgetError if the rest must not follow in this transaction."""
        seconds = time.monotonic() - self._started
        if done == of or seconds > BUDGET:
            self._pace.learn(seconds / done)
        if done < of and seconds > BUDGET:
            raise OverBudgetError(f"{done} of {of} events took {seconds:.1f} s")
