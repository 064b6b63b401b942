"""Course: what became of the chunks that were handed out, in whatever order they end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from typing import Any, Generic, TypeVar

T = TypeVar("T")

#: Told how many more are done.
Advance = Callable[[int], object]


class Course(Generic[T]):
    """The chunks handed out, in the order of their keys."""

    def __init__(self, advance: Advance | None) -> None:
        #: The chunk that failed, for people.
        self.failed = ""
        self._advance = advance
        #: The last key of each, and its outcome. Nothing is taken out, so that Ctrl-C at any moment loses no result.
        self._chunks: list[tuple[int, Future[T]]] = []
        self._under_way: dict[Future[T], list[int]] = {}

    def add(self, ids: list[int], future: Future[T]) -> None:
        self._under_way[future] = ids
        self._chunks.append((ids[-1], future))

    def settle(self, *, fewer_than: int) -> None:
        """Wait until fewer are under way. Raises what a chunk raised."""
        while len(self._under_way) >= fewer_than:
            for future in wait(self._under_way, return_when=FIRST_COMPLETED).done:
                ids = self._under_way.pop(future)
                self.failed = f"The chunk from {ids[0]} to {ids[-1]}"
                future.result()
                self.failed = ""
                if self._advance is not None:
                    self._advance(len(ids))

    def cancel(self) -> None:
        """Ask those under way to stop where that is safe."""
        for future in list(self._under_way):
            future.cancel()

    def end(self) -> None:
        """Wait for those under way, unless Ctrl-C comes meanwhile."""
        with suppress(KeyboardInterrupt):
            wait(self._under_way)

    def results(self) -> list[T]:
        """Of all that are done, in the order of the keys."""
        return [future.result() for _, future in self._chunks if _is_good(future)]

    def done_up_to(self, after: int) -> int:
        """The last key before which nothing is missing, `after` if the first chunk is."""
        for last, future in self._chunks:
            if not _is_good(future):
                break
            after = last
        return after


def _is_good(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
