"""Progress: the outcomes of chunks that run at the same time and end in any order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")

#: Progress callback: number of rows processed since the last call.
Advance = Callable[[int], object]


class StartedChunk(NamedTuple, Generic[T]):
    """A chunk that was started: the last key in it, and its outcome."""

    last_key: int
    future: Future[T]


class ChunkProgress(Generic[T]):
    """The chunks that were started, in the order of their keys. Used by one thread."""

    def __init__(self, advance: Advance | None) -> None:
        #: The chunk that failed, as text for a message; empty if none did.
        self.failed = ""
        self._advance = advance
        #: All chunks. None is ever removed, so a Ctrl-C at any moment loses no result.
        self._started: list[StartedChunk[T]] = []
        self._running: dict[Future[T], list[int]] = {}

    def add(self, ids: list[int], future: Future[T]) -> None:
        self._running[future] = ids
        self._started.append(StartedChunk(ids[-1], future))

    def wait_until_fewer_run(self, *, than: int) -> None:
        """Wait until fewer than this number of chunks are running. Raises the error of a chunk that failed."""
        while len(self._running) >= than:
            for future in wait(self._running, return_when=FIRST_COMPLETED).done:
                ids = self._running.pop(future)
                self.failed = f"The chunk from {ids[0]} to {ids[-1]}"
                future.result()
                self.failed = ""
                if self._advance is not None:
                    self._advance(len(ids))

    def cancel(self) -> None:
        """Ask the running chunks to stop at their next safe point."""
        for future in list(self._running):
            future.cancel()

    def wait_for_all(self) -> None:
        """Wait for the running chunks to end. Another Ctrl-C ends the waiting."""
        with suppress(KeyboardInterrupt):
            wait(self._running)

    def results(self) -> list[T]:
        """The results of the chunks that succeeded, in the order of their keys."""
        return [chunk.future.result() for chunk in self._started if _succeeded(chunk.future)]

    def done_up_to(self, after: int) -> int:
        """The highest key up to which every chunk succeeded; `after` if the first one did not."""
        for chunk in self._started:
            if not _succeeded(chunk.future):
                break
            after = chunk.last_key
        return after


def _succeeded(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
