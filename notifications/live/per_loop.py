"""Per loop: what the sockets of one event loop share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """A value that belongs to the running event loop; another loop gets another one, made when it first asks."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._value: T

    def __call__(self) -> T:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._value, self._loop = self._make(), loop
        return self._value
