"""Deadlocks: the database asks for the same transaction once more. That is no failure of the work in it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, OperationalError

T = TypeVar("T")

#: Repetitions after a deadlock or a serialization failure, at most.
RETRIES = 10
#: Seconds between two of them: at least, at most.
PAUSE = (0.01, 0.1)
#: PostgreSQL's codes of a deadlock and of a serialization failure.
SQLSTATES = {"40P01", "40001"}
#: PostgreSQL's code of a statement that was cancelled, by its time-out or by an administrator.
CANCELLED = "57014"
#: PostgreSQL's code of a lock that was not to be had within the lock time-out.
LOCKED = "55P03"


def retry_deadlocks(transact: Callable[[], T]) -> T:
    """Run a whole transaction, and again when it lost a deadlock or could not be serialized; returns its result.

    Raises whatever `transact` raises, and the last OperationalError after 10 repetitions.
    """
    for retries_left in range(RETRIES, -1, -1):
        try:
            return transact()
        except OperationalError as error:
            if not retries_left or not is_deadlock(error):
                raise
            time.sleep(random.uniform(*PAUSE))
    raise AssertionError("unreachable")


def is_deadlock(error: BaseException) -> bool:
    """Whether the database gave up a transaction that met others: the same transaction may succeed later."""
    return isinstance(error, OperationalError) and sqlstate(error) in SQLSTATES


def sqlstate(error: DatabaseError) -> str | None:
    """PostgreSQL's code of an error; None on other databases."""
    return getattr(error.__cause__, "sqlstate", None)
