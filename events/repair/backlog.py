"""Backlog: how far each subscriber is behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count, Q

from ..inbox.models import Delivery
from ..outbox.log import ONLY, only_for
from ..outbox.models import StoredEvent
from ..topics import matches
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
    #: For each start of a subscription the events per topic and mark of what is for one subscriber alone.
    since_then: dict[int, Counter[tuple[str, str]]] = {}
    for since in {row.since for row in rows}:
        delivered = StoredEvent.objects.filter(Q(suppressed="") | Q(suppressed__startswith=ONLY), sequence__gt=since)
        counted = delivered.values("topic", "suppressed").annotate(n=Count("sequence"))
        since_then[since] = Counter({(line["topic"], line["suppressed"]): line["n"] for line in counted.order_by()})
    result = []
    for row in rows:
        marks = ("", only_for(row.name))
        wanted = sum(
            n
            for (topic, mark), n in since_then[row.since].items()
            if mark in marks and any(matches(p, topic) for p in row.patterns)
        )
        seen = deliveries.get(row.name, {"final": 0, "retrying": 0, "dead": 0})
        result.append(Backlog(row.name, max(0, wanted - seen["final"]), seen["retrying"], seen["dead"]))
    return result
