"""Floor: from where on the log is kept. Below it, events may have been pruned.

An event that is not in the log was pruned if its number is below the floor of its topic. Otherwise it was lost, or
never known: what a restored database says of an event that the world has seen.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

from django.db.models import F
from django.db.models.functions import Greatest

from ..db.commit import committed
from ..db.primary import PrimaryQuerySet

if TYPE_CHECKING:
    from .models import LogFloor  # noqa: F401 - in a class header


class Gone(NamedTuple):
    """An event that is to go."""

    topic: str
    sequence: int
    event_id: uuid.UUID
    time: dt.datetime


class LogFloorQuerySet(PrimaryQuerySet["LogFloor"]):
    """The floors of all topics."""

    def raise_above(self, events: Collection[Gone]) -> None:
        """Raise the floors above these events, in a transaction of its own. It must be committed before they go. A
        floor is never lowered."""
        with committed(using=self.db):
            for topic in sorted({one.topic for one in events}):
                of_topic = [one for one in events if one.topic == topic]
                kept_from = {
                    "sequence": max(one.sequence for one in of_topic) + 1,
                    "event_id": uuid.UUID(int=max(one.event_id.int for one in of_topic) + 1),
                    "time": max(one.time for one in of_topic) + dt.timedelta(microseconds=1),
                }
                _, is_new = self.get_or_create(topic=topic, defaults=kept_from)
                if not is_new:
                    raised = {name: Greatest(F(name), value) for name, value in kept_from.items()}
                    self.filter(topic=topic).update(**raised)

    def sequences(self, topics: Iterable[str]) -> dict[str, int]:
        """For each of these topics that has a floor the lowest sequence number that is kept for certain."""
        return dict(self.filter(topic__in=set(topics)).values_list("topic", "sequence"))
