"""Chores: what an app wants to be done about once an hour, such as deleting what has expired.

The process of the active relay does them, beside reconcile. One may be done twice at the same time, or not for as long
as no relay runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .logger import get_logger

log = get_logger("events.chores")

#: Seconds between two times.
INTERVAL = 3600.0

Chore = Callable[[], None]
#: By module and name.
chores: dict[str, Chore] = {}


def chore(function: Chore) -> Chore:
    """Declare a chore. It must be short, or commit in parts, and leave nothing to do when it is done again.

    Call it where Django imports it at the start, such as in a module that `AppConfig.ready` imports.
    """
    chores[f"{function.__module__}.{function.__qualname__}"] = function
    return function


class Timetable:
    """When one process does the chores: at first at once, then every INTERVAL."""

    def __init__(self) -> None:
        self._due = time.monotonic()

    def do_due(self) -> None:
        """Do all of them if it is time. One that fails is logged, and done again with the others next time."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + INTERVAL
        for name, do in chores.items():
            try:
                do()
            except Exception as error:
                log.warning("chore put off", chore=name, error=repr(error), exc_info=True)
