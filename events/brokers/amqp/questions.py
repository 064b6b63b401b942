"""Questions: what reconcile asks the broker, answered by the relay over its own connection, so that a relay's process
never holds a second one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, TimeoutError

from ..contract import QueueSize

#: Seconds that the relay gets for an answer: it may be busy with the database.
ANSWER_TIMEOUT = 30.0

Sizes = dict[str, QueueSize | None]


class Questions:
    """Questions about the sizes of queues. Any thread asks; the relay's thread answers."""

    def __init__(self) -> None:
        self._open: deque[tuple[list[str], Future[Sizes]]] = deque()
        #: The relays in this process that answer.
        self._relays = 0

    @property
    def are_answered(self) -> bool:
        """Whether a relay works in this process."""
        return self._relays > 0

    def begin(self) -> None:
        """A relay begins to answer."""
        self._relays += 1

    def end(self) -> None:
        """A relay answers no more."""
        self._relays -= 1
        if not self._relays:
            while self._open:
                self._open.popleft()[1].set_exception(ConnectionError("the relay has ended"))

    def ask(self, queues: Iterable[str]) -> Sizes:
        """The size of each queue; None for one that does not exist. Raises ConnectionError."""
        answer: Future[Sizes] = Future()
        self._open.append((list(queues), answer))
        try:
            return answer.result(ANSWER_TIMEOUT)
        except TimeoutError:
            raise ConnectionError(f"the relay did not ask RabbitMQ within {ANSWER_TIMEOUT:g} s") from None

    def answer(self, sizes_of: Callable[[Iterable[str]], Sizes]) -> None:
        """Answer what was asked until now. What `sizes_of` raises goes to who asked, as ConnectionError, and is raised
        here, too."""
        while self._open:
            queues, answer = self._open.popleft()
            try:
                answer.set_result(sizes_of(queues))
            except Exception as error:
                answer.set_exception(ConnectionError(str(error)))
                raise
