"""EventFilter: which events of the log a subscription should have had."""

from __future__ import annotations

from collections.abc import Iterable

from ..outbox.models import StoredEvent
from ..subscription import subscriptions
from ..topics import matches
from .announce import bindings_of
from .models import Subscription


class EventFilter:
    """The events that fit a pattern which the subscriber's code has now, each since the subscription has it.

    as_announced: the patterns are those that the workers announced last. So it can be asked of a subscription whose
    code is not in this process, or gone.
    """

    def __init__(self, row: Subscription, *, as_announced: bool = False) -> None:
        code = row if as_announced else subscriptions[row.name]
        bound = bindings_of(row).get(code.queue, {})
        patterns: Iterable[str] = code.patterns
        #: For each pattern the sequence number after which it counts.
        self._since = {pattern: bound.get(pattern, row.since) for pattern in patterns}
        self._topics: list[str] | None = None

    def __call__(self, topic: str, sequence: int) -> bool:
        """Whether the subscription should have had the event with this topic and sequence number."""
        return any(sequence > since and matches(pattern, topic) for pattern, since in self._since.items())

    def since(self, topic: str) -> int | None:
        """The sequence number after which the subscription should have every event of a topic; None: it wants none."""
        return min((since for pattern, since in self._since.items() if matches(pattern, topic)), default=None)

    def topics(self) -> list[str]:
        """The topics of the log that fit a pattern."""
        if self._topics is None:
            self._topics = [
                topic
                for topic in StoredEvent.objects.topics()
                if any(matches(pattern, topic) for pattern in self._since)
            ]
        return self._topics
