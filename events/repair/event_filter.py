"""EventFilter: which events of the log a subscription should have had."""

from __future__ import annotations

from ..outbox.models import StoredEvent
from ..subscription import matches, subscriptions
from .announce import bindings_of
from .models import Subscription


class EventFilter:
    """The events that fit a pattern which the subscriber's code has now, each since the subscription has it."""

    def __init__(self, row: Subscription) -> None:
        bound = bindings_of(row).get(subscriptions[row.name].queue, {})
        #: For each pattern the sequence number after which it counts.
        self._since = {pattern: bound.get(pattern, row.since) for pattern in subscriptions[row.name].patterns}
        self._topics: list[str] | None = None

    def __call__(self, topic: str, sequence: int) -> bool:
        """Whether the subscription should have had the event with this topic and sequence number."""
        return any(sequence > since and matches(pattern, topic) for pattern, since in self._since.items())

    def topics(self) -> list[str]:
        """The topics of the log that fit a pattern."""
        if self._topics is None:
            self._topics = [
                topic
                for topic in StoredEvent.objects.topics()
                if any(matches(pattern, topic) for pattern in self._since)
            ]
        return self._topics
