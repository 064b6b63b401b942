"""Backlog: how far each subscriber is behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count, Q

from ..inbox.models import Delivery
from ..outbox.models import StoredEvent
from ..subscription import matches
from .models import Subscription


@dataclass(frozen=True)
class Backlog:
    """How far a subscriber is behind, in events: `behind` have no outcome; among them `retrying` have failed; `dead`
    are given up."""

    name: str
    behind: int
    retrying: int
    dead: int


def backlogs() -> list[Backlog]:
    """The backlog of every subscription, counted from the log and the inbox."""
    rows = list(Subscription.objects.order_by("name"))
    deliveries = {
        row["subscriber"]: row
        for row in Delivery.objects.filter(run=0)
        .values("subscriber")
        .annotate(
            final=Count("id", filter=~Q(state="retrying")),
            retrying=Count("id", filter=Q(state="retrying")),
            dead=Count("id", filter=Q(state="dead")),
        )
    }
    topics_since: dict[int, Counter[str]] = {}
    for since in {row.since for row in rows}:
        counted = (
            StoredEvent.objects.filter(sequence__gt=since, suppressed="").values("topic").annotate(n=Count("sequence"))
        )
        topics_since[since] = Counter({line["topic"]: line["n"] for line in counted.order_by()})
    result = []
    for row in rows:
        wanted = sum(n for topic, n in topics_since[row.since].items() if any(matches(p, topic) for p in row.patterns))
        seen = deliveries.get(row.name, {"final": 0, "retrying": 0, "dead": 0})
        result.append(Backlog(row.name, max(0, wanted - seen["final"]), seen["retrying"], seen["dead"]))
    return result
