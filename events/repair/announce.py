"""Subscriptions: what this code subscribes to, made known to the database; and how far each is behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db import router, transaction
from django.db.models import Count, Q
from django.utils import timezone

from ..models import Delivery, StoredEvent, Subscription
from ..subscription import Subscription as Declared
from ..subscription import matches, subscriptions


def announce() -> None:
    """Enter this code's subscribers. A new one, or a pattern new to one, begins at the end of the log: earlier events
    reach it by replay alone."""
    newest = StoredEvent.objects.newest()
    with transaction.atomic(using=router.db_for_write(Subscription)):
        rows = Subscription.objects.filter(name__in=list(subscriptions)).order_by("name").select_for_update()
        known = {row.name: row for row in rows}
        Subscription.objects.bulk_create(
            [
                Subscription(
                    name=one.name,
                    queue=one.queue,
                    patterns=list(one.patterns),
                    since=newest,
                    seen_at=timezone.now(),
                    bindings=_bindings(one, known.get(one.name), newest),
                )
                for one in sorted(subscriptions.values(), key=lambda one: one.name)
            ],
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=["queue", "patterns", "seen_at", "bindings"],
        )


def bindings_of(row: Subscription) -> dict[str, dict[str, int]]:
    """What may be bound for a subscription at the broker: its queues, for each the patterns and since which event."""
    return row.bindings or {row.queue: dict.fromkeys(row.patterns, row.since)}


def _bindings(one: Declared, row: Subscription | None, newest: int) -> dict[str, dict[str, int]]:
    """What was bound and what is bound from now on. A queue of a new name takes over from the former one."""
    bindings = bindings_of(row) if row else {}
    since: dict[str, int] = {}
    for bound in bindings.values():
        for pattern, begin in bound.items():
            since[pattern] = min(begin, since.get(pattern, begin))
    current = bindings.get(one.queue, {})
    return bindings | {one.queue: current | {p: since.get(p, newest) for p in one.patterns if p not in current}}


class Wanted:
    """Which events a subscription should have: of the patterns its code has now, each since it has had it."""

    def __init__(self, row: Subscription) -> None:
        bound = bindings_of(row).get(subscriptions[row.name].queue, {})
        self._since = {pattern: bound.get(pattern, row.since) for pattern in subscriptions[row.name].patterns}
        self._topics: list[str] | None = None

    def __call__(self, topic: str, sequence: int) -> bool:
        return any(sequence > since and matches(pattern, topic) for pattern, since in self._since.items())

    def topics(self) -> list[str]:
        """Those topics of the log that fit any of the patterns."""
        if self._topics is None:
            self._topics = [
                topic
                for topic in StoredEvent.objects.topics()
                if any(matches(pattern, topic) for pattern in self._since)
            ]
        return self._topics


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
