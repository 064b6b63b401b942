"""Remembered: the results for the texts of late, as many as fit into a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Kept(NamedTuple, Generic[T]):
    """A result and its size in bytes."""

    value: T
    size: int


class Remembered(Generic[T]):
    """Results by key; those that were not asked for longest are forgotten. For use by many threads."""

    def __init__(self, *, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        #: Bytes of all results that are kept.
        self.held = 0
        self._kept: OrderedDict[str, Kept[T]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> T | None:
        """The result for this key; None if it is not remembered."""
        with self._lock:
            if (kept := self._kept.get(key)) is None:
                return None
            self._kept.move_to_end(key)
            return kept.value

    def keep(self, key: str, value: T, *, size: int) -> None:
        """Remember a result of this many bytes. One that is larger than all the room is not kept."""
        if size > self.max_bytes:
            return
        with self._lock:
            if (earlier := self._kept.pop(key, None)) is not None:
                self.held -= earlier.size
            self._kept[key] = Kept(value, size)
            self.held += size
            while self.held > self.max_bytes:
                self.held -= self._kept.popitem(last=False)[1].size

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()
            self.held = 0
