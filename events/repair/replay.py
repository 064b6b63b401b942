"""Replay: events of the log once more to one subscriber alone."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import dramatiq
from django.db import connections, router, transaction
from django.db.models import QuerySet

from ..brokers.embedded import EmbeddedBroker
from ..db.dialect import DeliveryKey, database_now
from ..models import Delivery, OutboxMessage, StoredEvent, Straggler, Subscription
from ..subscription import Subscription as Declared
from ..subscription import matches, subscriptions
from .announce import Wanted

#: Events looked at in one transaction.
CHUNK = 500


class ReplayRefused(ValueError):
    """What was asked for cannot be replayed; the message says what to ask for instead."""


@dataclass(kw_only=True)
class Replayed:
    """What a replay did so far, in events.

    added: delivered for the first time. reopened: dead or discarded before. again: done before, run once more.
    owed: left alone, since they are waiting, on their way or being retried. skipped: done before, and the subscriber
    is not replayable. upto: the last event of the log that was looked at.
    """

    added: int = 0
    reopened: int = 0
    again: int = 0
    owed: int = 0
    skipped: int = 0
    upto: int = 0

    @property
    def count(self) -> int:
        """How many are delivered."""
        return self.added + self.reopened + self.again

    @property
    def seen(self) -> int:
        """How many events were looked at."""
        return self.count + self.owed + self.skipped


@dataclass
class _Plan:
    """What is to be done about one chunk of events."""

    rows: list[OutboxMessage] = field(default_factory=list)
    reopened: list[int] = field(default_factory=list)
    again: int = 0
    owed: int = 0
    skipped: int = 0


def events_for(
    name: str,
    *,
    topic: str = "",
    subject: str = "",
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    from_sequence: int | None = None,
    to_sequence: int | None = None,
    suppressed: bool = False,
) -> QuerySet[StoredEvent]:
    """The events in the log that a subscriber wants and that fit all that is given, in order.

    topic: a topic or pattern. since, until: when they were emitted (from, before). from_sequence, to_sequence: their
    numbers in the log, both included. suppressed: those, too, that were emitted to be delivered to nobody.

    Raises ReplayRefused for a subscriber that is not declared and a topic it does not want.
    """
    subscription = _declared(name)
    wanted = [one for one in StoredEvent.objects.topics() if subscription.wants(one)]
    topics = [one for one in wanted if not topic or matches(topic, one)]
    if topic and not topics:
        raise ReplayRefused(
            f"The log has no events of topic {topic!r} for {name}: it subscribes to "
            f"{', '.join(subscription.patterns)}. Its topics in the log: {', '.join(wanted) or 'none'}."
        )
    events = StoredEvent.objects.filter(topic__in=topics)
    if not suppressed:
        events = events.filter(suppressed="")
    if subject:
        events = events.filter(subject=subject)
    if since:
        events = events.filter(time__gte=since)
    if until:
        events = events.filter(time__lt=until)
    if from_sequence is not None:
        events = events.filter(sequence__gte=from_sequence)
    if to_sequence is not None:
        events = events.filter(sequence__lte=to_sequence)
    return events.order_by("sequence")


def replay(
    name: str,
    events: QuerySet[StoredEvent],
    *,
    rate: int | None = None,
    dry_run: bool = False,
    advance: Callable[[Replayed], None] | None = None,
) -> Replayed:
    """Owe events, as `events_for` found them, to a subscriber; in chunks, each a transaction.

    They are due at once and go behind what is fresh. What was never done is run 0; what was done before becomes the
    next run, where the subscriber is replayable. rate: at most so many deliveries a second. dry_run: count, change
    nothing. advance: told after each chunk. Events that the replay itself leads to are not replayed.

    Raises ReplayRefused for a subscriber that is not declared.
    """
    subscription, done, began = _declared(name), Replayed(), time.monotonic()
    end = StoredEvent.objects.newest()
    # Embedded, what is not in the outbox is not on its way; a broker may hold what is newer than the subscription.
    embedded = isinstance(dramatiq.get_broker(), EmbeddedBroker)
    row = None if embedded else Subscription.objects.filter(name=name).first()
    wanted = Wanted(row) if row else None
    while True:
        with transaction.atomic(using=router.db_for_write(Delivery)):
            chunk = list(
                events.filter(sequence__gt=done.upto, sequence__lte=end).defer("data")[: min(CHUNK, rate or CHUNK)]
            )
            if not chunk:
                return done
            plan = _plan(subscription, chunk, wanted)
            if not dry_run:
                _carry_out(name, plan)
        done.added += len(plan.rows) - len(plan.reopened) - plan.again
        done.reopened += len(plan.reopened)
        done.again += plan.again
        done.owed += plan.owed
        done.skipped += plan.skipped
        done.upto = chunk[-1].sequence
        if advance:
            advance(done)
        if rate and not dry_run:
            time.sleep(max(0.0, done.count / rate - (time.monotonic() - began)))


def _declared(name: str) -> Declared:
    if name not in subscriptions:
        close = get_close_matches(name, subscriptions, n=3)
        known = (
            f"did you mean {', '.join(close)}?" if close else f"the subscribers are {', '.join(sorted(subscriptions))}."
        )
        raise ReplayRefused(f"No subscriber is named {name!r}: {known}")
    return subscriptions[name]


def _plan(subscription: Declared, chunk: Sequence[StoredEvent], wanted: Wanted | None) -> _Plan:
    ids = [event.event_id for event in chunk]
    latest: dict[object, Delivery] = {}
    deliveries = Delivery.objects.filter(event_id__in=ids, subscriber=subscription.name).order_by("run")
    for one in deliveries.defer("body").select_for_update():
        latest[one.event_id] = one
    owed = set(
        OutboxMessage.objects.filter(event__in=chunk, subscriber__in=("", subscription.name)).values_list(
            "event_id", "run"
        )
    )
    watched = set(
        Straggler.objects.filter(event_id__in=ids, subscriber=subscription.name).values_list("event_id", "run")
    )
    plan = _Plan()
    for event in chunk:
        delivery: Delivery | None = latest.get(event.event_id)
        over = delivery is not None and delivery.state in ("dead", "discarded")
        run = 0 if delivery is None else delivery.run + (delivery.state == "done")
        if delivery is None and not event.suppressed and wanted is not None and wanted(event.topic, event.sequence):
            plan.owed += 1  # in the broker; if it was lost there, reconcile heals it
            continue
        key: tuple[Any, int] = (event.event_id, run)
        if key in owed or (key in watched and not over) or (delivery is not None and delivery.state == "retrying"):
            plan.owed += 1
            continue
        if delivery is not None and delivery.state == "done":
            if not subscription.replayable:
                plan.skipped += 1
                continue
            plan.again += 1
        elif delivery is not None:
            plan.reopened.append(delivery.pk)
        plan.rows.append(OutboxMessage(event_id=event.event_id, subscriber=subscription.name, run=run))
    return plan


def _carry_out(name: str, plan: _Plan) -> None:
    now = database_now(connections[router.db_for_write(Delivery)])
    for row in plan.rows:
        row.due = now
    Delivery.objects.filter(pk__in=plan.reopened).update(state="retrying", attempts=0)
    OutboxMessage.objects.bulk_create(plan.rows, ignore_conflicts=True)
    keys = [DeliveryKey(row.event_id, name, row.run) for row in plan.rows]
    Straggler.objects.watch(keys, after=StoredEvent.objects.newest(), now=now)
