"""Batch: what many sockets want to read is read together, in one thread at a time, in the background of the loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextvars import Context
from itertools import islice
from typing import Generic, TypeVar

from notifications import metrics
from notifications.live.threads import in_thread

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Batch(Generic[K, V]):
    """Answers questions of one sort. What is asked while a read runs is answered by the next one.

    read: gets the questions, and returns the answer to each. most: questions of one read. gather: seconds that the
    first question waits for others.
    """

    def __init__(
        self, name: str, read: Callable[[Sequence[K]], Mapping[K, V]], *, most: int, gather: float = 0.0
    ) -> None:
        self._read, self._most, self._gather = read, most, gather
        self._asked: deque[tuple[K, asyncio.Future[V]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._waiting = metrics.SOCKETS_WAITING.labels(read=name)

    def ask(self, question: K) -> asyncio.Future[V]:
        """The answer, which comes in its turn. It raises what the read raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[V] = loop.create_future()
        self._asked.append((question, future))
        self._waiting.set(len(self._asked))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._answer(), context=Context())  # it is not the first one's alone
        return future

    async def _answer(self) -> None:
        while self._asked:
            await asyncio.sleep(self._gather)
            part = list(islice(self._asked, self._most))
            for _ in part:
                self._asked.popleft()
            self._waiting.set(len(self._asked))
            part = [(question, future) for question, future in part if not future.done()]  # the socket is closed
            if not part:
                continue
            try:
                answers = await in_thread(self._read, list(dict.fromkeys(question for question, _ in part)))
            except Exception as error:  # noqa: BLE001 - each socket that asked gets it
                for _, future in part:
                    if not future.done():
                        future.set_exception(error)
                continue
            for question, future in part:
                if not future.done():
                    future.set_result(answers[question])
