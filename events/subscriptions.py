"""Subscriptions: what this code subscribes to, made known to the database; and how far each is behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count, Max, Q
from django.utils import timezone

from events.models import Delivery, StoredEvent, Subscription
from events.subscription import matches, subscriptions


def announce() -> None:
    """Enter this code's subscribers. A new one begins at the end of the log: earlier events reach it by replay
    alone."""
    newest = StoredEvent.objects.aggregate(newest=Max("sequence"))["newest"] or 0
    Subscription.objects.bulk_create(
        [
            Subscription(
                name=one.name, queue=one.queue, patterns=list(one.patterns), since=newest, seen_at=timezone.now()
            )
            for one in subscriptions.values()
        ],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["queue", "patterns", "seen_at"],
    )


@dataclass(frozen=True)
class Backlog:
    """How far a subscriber is behind: events without an outcome, of those the ones being retried, and the dead."""

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
        owed = sum(n for topic, n in topics_since[row.since].items() if any(matches(p, topic) for p in row.patterns))
        seen = deliveries.get(row.name, {"final": 0, "retrying": 0, "dead": 0})
        result.append(Backlog(row.name, max(0, owed - seen["final"]), seen["retrying"], seen["dead"]))
    return result
