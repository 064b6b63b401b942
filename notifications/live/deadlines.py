"""Deadlines: what is to be done within a time, for all sockets of an event loop with one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from notifications.live.per_loop import PerLoop


class Deadlines:
    """Calls that are made unless they are called off in time."""

    def __init__(self) -> None:
        self._due: dict[Callable[[], None], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, call: Callable[[], None], *, seconds: float) -> None:
        """Make this call in so many seconds."""
        loop = asyncio.get_running_loop()
        due = self._due[call] = loop.time() + seconds
        if self._timer is None or self._timer.when() > due:
            self._wake_at(due, loop)

    def call_off(self, call: Callable[[], None]) -> None:
        """Do not make it."""
        self._due.pop(call, None)

    def _wake_at(self, due: float, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(due, self._wake, loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for call in sorted((call for call, due in self._due.items() if due <= now), key=self._due.__getitem__):
            if self._due.pop(call, None) is not None:
                call()
        if self._due:
            self._wake_at(min(self._due.values()), loop)


deadlines = PerLoop(Deadlines)
