"""Replay: events of the log once more, to one subscriber alone.

What becomes of an event (`decide`):

| its delivery at the subscriber        | decision                                                                     |
|---------------------------------------|------------------------------------------------------------------------------|
| none, the broker may have its message | WAITING: left alone; if the broker lost it, reconcile heals it               |
| none otherwise                        | ADD: delivered for the first time (run 0)                                    |
| in the outbox, watched or retrying    | WAITING: left alone                                                          |
| dead or discarded                     | REOPEN: delivered in the same run, attempts counted from the start           |
| done, and the subscriber is replayable | AGAIN: delivered in the next run                                            |
| done otherwise                        | SKIP: running it again might do harm                                         |
"""

from __future__ import annotations

import datetime as dt
import enum
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import dramatiq
from django.db import connections, router
from django.db.models import Q, QuerySet

from ..brokers.contract import EventBroker
from ..db.commit import committed
from ..db.dialect import DeliveryKey, database_now
from ..inbox.models import Delivery
from ..outbox.log import ONLY, only_for
from ..outbox.models import LogFloor, OutboxMessage, StoredEvent
from ..subscription import Subscription, subscriptions
from ..topics import matches
from . import models
from .event_filter import EventFilter
from .models import Straggler

#: Events per transaction.
EVENTS_PER_CHUNK = 500


class ReplayRefusedError(ValueError):
    """What was asked for cannot be replayed; the message says what to ask for instead."""


@dataclass(kw_only=True)
class Replayed:
    """What a replay did so far, in events.

    added: delivered for the first time. reopened: dead or discarded before. again: done before, delivered once more.
    owed: left alone, since they wait, are under way or are retried. skipped: done before, and the subscriber is not
    replayable. upto: the sequence number of the last event that was read.
    """

    added: int = 0
    reopened: int = 0
    again: int = 0
    owed: int = 0
    skipped: int = 0
    upto: int = 0

    @property
    def count(self) -> int:
        """The number of events that are delivered."""
        return self.added + self.reopened + self.again

    @property
    def seen(self) -> int:
        """The number of events that were read."""
        return self.count + self.owed + self.skipped


class Decision(enum.Enum):
    """What becomes of one event; the table above has the rules."""

    ADD = enum.auto()
    REOPEN = enum.auto()
    AGAIN = enum.auto()
    WAITING = enum.auto()
    SKIP = enum.auto()


@dataclass
class _Plan:
    """What to do about one chunk of events: outbox rows to write, deliveries to reopen, events per decision."""

    rows: list[OutboxMessage] = field(default_factory=list)
    reopened: list[int] = field(default_factory=list)
    counts: dict[Decision, int] = field(default_factory=lambda: dict.fromkeys(Decision, 0))


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
    """The events of the log that a subscriber wants and that fit every given filter, in order; redacted ones only for
    one with `takes_redacted`.

    topic: a topic or pattern. since, until: when they were emitted (from, before). from_sequence, to_sequence: their
    numbers in the log, both included. suppressed: include events that were emitted suppressed, and the chunks of this
    subscriber's long work; without, the first event of the work leads to new ones. Nothing below the floor of its topic
    is among them.

    Raises ReplayRefusedError for a subscriber that is not declared, for a topic that it does not want, and for events
    below the floor.
    """
    subscription = _declared(name)
    wanted = [one for one in StoredEvent.objects.topics() if subscription.wants(one)]
    topics = [one for one in wanted if not topic or matches(topic, one)]
    if topic and not topics:
        raise ReplayRefusedError(
            f"The log has no events of topic {topic!r} for {name}: it subscribes to "
            f"{', '.join(subscription.patterns)}. Its topics in the log: {', '.join(wanted) or 'none'}."
        )
    floors = list(LogFloor.objects.filter(topic__in=topics))
    _require_kept(floors, since=since, until=until, from_sequence=from_sequence, to_sequence=to_sequence)
    events = StoredEvent.objects.filter(topic__in=topics)
    for floor in floors:
        events = events.exclude(topic=floor.topic, sequence__lt=floor.sequence)
    if suppressed:
        events = events.exclude(Q(suppressed__startswith=ONLY) & ~Q(suppressed=only_for(name)))
    else:
        events = events.filter(suppressed="")
    if not subscription.takes_redacted:
        events = events.filter(redacted_at=None)
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
    """Write events, as `events_for` found them, to the outbox for one subscriber; in chunks, each a transaction.

    They are due at once, and new events go before them. Events that the replay leads to are not replayed themselves.

    rate: deliveries per second, at most. dry_run: count, and change nothing. advance: called after each chunk with what
    was done so far.

    Raises ReplayRefusedError for a subscriber that is not declared.
    """
    subscription, done, began = _declared(name), Replayed(), time.monotonic()
    end = StoredEvent.objects.newest()
    in_broker = _may_be_in_broker(name)
    while True:
        with committed(using=router.db_for_write(Delivery)):
            rest = events.filter(sequence__gt=done.upto, sequence__lte=end).defer("data")
            # Under lock: what is pruned at the same time is not among them.
            chunk = list(rest.select_for_update(no_key=True)[: min(EVENTS_PER_CHUNK, rate or EVENTS_PER_CHUNK)])
            if not chunk:
                return done
            plan = _plan(subscription, chunk, in_broker)
            if not dry_run:
                _carry_out(name, plan)
        done.added += plan.counts[Decision.ADD]
        done.reopened += plan.counts[Decision.REOPEN]
        done.again += plan.counts[Decision.AGAIN]
        done.owed += plan.counts[Decision.WAITING]
        done.skipped += plan.counts[Decision.SKIP]
        done.upto = chunk[-1].sequence
        if advance:
            advance(done)
        if rate and not dry_run:
            time.sleep(max(0.0, done.count / rate - (time.monotonic() - began)))


def decide(
    event: StoredEvent, delivery: Delivery | None, *, replayable: bool, in_broker: bool, in_outbox: bool, watched: bool
) -> Decision:
    """What becomes of an event.

    delivery: the latest one at the subscriber. in_broker: the broker may have a message of the event. in_outbox,
    watched: the outbox, or the watchlist of reconcile, has the run that would be delivered.
    """
    if delivery is None and in_broker and not event.suppressed:
        return Decision.WAITING
    given_up = delivery is not None and delivery.state in ("dead", "discarded")
    retrying = delivery is not None and delivery.state == "retrying"
    if in_outbox or retrying or (watched and not given_up):
        return Decision.WAITING
    if delivery is None:
        return Decision.ADD
    if given_up:
        return Decision.REOPEN
    return Decision.AGAIN if replayable else Decision.SKIP


def kept_from(name: str, *, topic: str = "") -> LogFloor | None:
    """The highest floor of the topics that a subscriber wants, and that fit a topic or pattern; None: it gets all."""
    wanted = [one for one in LogFloor.objects.order_by("-sequence") if _declared(name).wants(one.topic)]
    return next((one for one in wanted if not topic or matches(topic, one.topic)), None)


def _require_kept(
    floors: Sequence[LogFloor],
    *,
    since: dt.datetime | None,
    until: dt.datetime | None,
    from_sequence: int | None,
    to_sequence: int | None,
) -> None:
    for floor in floors:
        if (
            (since and since < floor.time)
            or (until and until <= floor.time)
            or (from_sequence is not None and from_sequence < floor.sequence)
            or (to_sequence is not None and to_sequence < floor.sequence)
        ):
            raise ReplayRefusedError(
                f"Earlier events of {floor.topic} were pruned: the log has all of them from number {floor.sequence}"
                f" ({floor.time:%Y-%m-%dT%H:%M:%SZ}) on. Begin there, with --from-sequence {floor.sequence}, or choose"
                " other topics with --topic."
            )


def _declared(name: str) -> Subscription:
    if name not in subscriptions:
        close = get_close_matches(name, subscriptions, n=3)
        known = (
            f"did you mean {', '.join(close)}?" if close else f"the subscribers are {', '.join(sorted(subscriptions))}."
        )
        raise ReplayRefusedError(f"No subscriber is named {name!r}: {known}")
    return subscriptions[name]


def _may_be_in_broker(name: str) -> Callable[[str, int], bool]:
    """Whether the broker may have a message of the event with this topic and sequence number: it may have what is newer
    than the subscription. An in-process broker has nothing that is not in the outbox."""
    broker = dramatiq.get_broker()
    in_process = isinstance(broker, EventBroker) and broker.in_process
    row = None if in_process else models.Subscription.objects.filter(name=name).first()
    return EventFilter(row) if row else lambda topic, sequence: False


def _plan(subscription: Subscription, chunk: Sequence[StoredEvent], in_broker: Callable[[str, int], bool]) -> _Plan:
    ids = [event.event_id for event in chunk]
    latest: dict[uuid.UUID, Delivery] = {}
    deliveries = Delivery.objects.filter(event_id__in=ids, subscriber=subscription.name).order_by("run")
    for one in deliveries.defer("body").select_for_update():
        latest[one.event_id] = one
    rows = OutboxMessage.objects.filter(event__in=chunk, subscriber__in=("", subscription.name))
    outbox: set[tuple[uuid.UUID, int]] = {*rows.values_list("event__event_id", "run")}
    stragglers = Straggler.objects.filter(event_id__in=ids, subscriber=subscription.name)
    watchlist = set(stragglers.values_list("event_id", "run"))
    plan = _Plan()
    for event in chunk:
        delivery = latest.get(event.event_id)
        run = 0 if delivery is None else delivery.run + (delivery.state == "done")
        decision = decide(
            event,
            delivery,
            replayable=subscription.replayable,
            in_broker=in_broker(event.topic, event.sequence),
            in_outbox=(event.event_id, run) in outbox,
            watched=(event.event_id, run) in watchlist,
        )
        plan.counts[decision] += 1
        if decision is Decision.REOPEN and delivery is not None:
            plan.reopened.append(delivery.pk)
        if decision in (Decision.ADD, Decision.REOPEN, Decision.AGAIN):
            plan.rows.append(OutboxMessage(event_id=event.event_id, subscriber=subscription.name, run=run))
    return plan


def _carry_out(name: str, plan: _Plan) -> None:
    now = database_now(connections[router.db_for_write(Delivery)])
    for row in plan.rows:
        row.due = now
    Delivery.objects.filter(pk__in=plan.reopened).update(state="retrying", attempts=0, at=now)
    OutboxMessage.objects.bulk_create(plan.rows, ignore_conflicts=True)
    keys = [DeliveryKey(row.event_id, name, row.run) for row in plan.rows]
    Straggler.objects.watch(keys, after=StoredEvent.objects.newest(), now=now)
