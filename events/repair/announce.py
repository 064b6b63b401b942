"""Announce: enter this code's subscriptions into the database."""

from __future__ import annotations

from django.db import router
from django.utils import timezone

from .. import subscription as code
from ..db.commit import committed
from ..outbox.models import StoredEvent
from .models import Subscription


def announce() -> None:
    """Enter the subscriptions of this process. A new one, or a new pattern of one, begins at the end of the log: it
    gets earlier events by replay only."""
    newest = StoredEvent.objects.newest()
    with committed(using=router.db_for_write(Subscription)):
        rows = Subscription.objects.filter(name__in=list(code.subscriptions)).order_by("name").select_for_update()
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
                for one in sorted(code.subscriptions.values(), key=lambda one: one.name)
            ],
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=["queue", "patterns", "seen_at", "bindings"],
        )


def bindings_of(row: Subscription) -> dict[str, dict[str, int]]:
    """What may be bound at the broker for a subscription: queue → pattern → the sequence number after which it
    counts."""
    bindings: dict[str, dict[str, int]] = row.bindings
    return bindings or {row.queue: dict.fromkeys(row.patterns, row.since)}


def _bindings(one: code.Subscription, row: Subscription | None, newest: int) -> dict[str, dict[str, int]]:
    """What was bound, and what is bound from now on. A queue with a new name takes over from the former one."""
    bindings = bindings_of(row) if row else {}
    since: dict[str, int] = {}
    for bound in bindings.values():
        for pattern, begin in bound.items():
            since[pattern] = min(begin, since.get(pattern, begin))
    current = bindings.get(one.queue, {})
    return bindings | {one.queue: current | {p: since.get(p, newest) for p in one.patterns if p not in current}}
