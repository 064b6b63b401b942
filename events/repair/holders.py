"""Holders: what keeps old events in the log.

| an event is held up by                      | until                                                             |
|---------------------------------------------|-------------------------------------------------------------------|
| a subscription without a final outcome      | it has one, or was not seen for 30 days                           |
| a dead letter                               | a person decides, or its own keep time ends                       |
| a row of the outbox                         | it is sent                                                        |
| a row of the watchlist                      | reconcile has settled it, or its subscription was not seen for 30 days |

With the event stay all of its rows of the inbox: its message, and its requeued dead letter, can be told from new ones.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..inbox.models import Delivery
from ..outbox.log import only_for
from ..outbox.models import OutboxMessage, StoredEvent
from ..subscription import subscriptions
from .event_filter import EventFilter
from .models import Straggler, Subscription

#: A subscription that was not seen for longer, and is not in the code, holds nothing up.
SEEN_WITHIN = dt.timedelta(days=30)
DEAD_LETTER, OUTBOX, WATCHLIST = "(dead letters)", "(outbox)", "(watchlist)"
#: The kinds of rows that hold events up, each with what to do.
KINDS = {
    DEAD_LETTER: "manage.py dead_letters: requeue or discard them",
    OUTBOX: "they go when they are sent",
    WATCHLIST: "they go when reconcile has settled them",
}


class Holder(NamedTuple):
    """A subscription that holds up what it wants and has no outcome for. in_code: this code has it."""

    name: str
    seen_at: dt.datetime
    in_code: bool
    wants: EventFilter


@dataclass(kw_only=True)
class Held:
    """What one holder holds up: the number of events, and the first of them in the log. holder: the name of a
    subscription, or a kind of row."""

    holder: str
    count: int
    first: int


def holders(now: dt.datetime) -> list[Holder]:
    """The subscriptions that hold up pruning: those of this code, and those that were seen in the last 30 days."""
    return [
        Holder(
            row.name,
            row.seen_at,
            row.name in subscriptions,
            EventFilter(row, as_announced=row.name not in subscriptions),
        )
        for row in Subscription.objects.order_by("name")
        if row.name in subscriptions or row.seen_at > now - SEEN_WITHIN
    ]


def what_holds(events: Sequence[StoredEvent], known: Sequence[Holder]) -> dict[uuid.UUID, set[str]]:
    """For each of these events that must stay, what holds it up: names of subscriptions, and kinds of rows."""
    ids = [event.event_id for event in events]
    found: dict[uuid.UUID, set[str]] = defaultdict(set)
    final: dict[uuid.UUID, set[str]] = defaultdict(set)
    names = {one.name for one in known}
    deliveries = Delivery.objects.filter(event_id__in=ids)
    for event_id, name, run, state in deliveries.values_list("event_id", "subscriber", "run", "state"):
        if state == "dead":
            found[event_id].add(DEAD_LETTER)
        elif state == "retrying" and name in names:
            found[event_id].add(name)
        if run == 0 and state != "retrying":
            final[event_id].add(name)
    wanted = {topic: _wanted_since(topic, known) for topic in {event.topic for event in events}}
    for event in events:
        for name, since in wanted[event.topic]:
            is_owed = event.sequence > since and name not in final[event.event_id]
            if is_owed and event.suppressed in ("", only_for(name)):
                found[event.event_id].add(name)
    for event_id in _in_outbox(ids):
        found[event_id].add(OUTBOX)
    for event_id, name in Straggler.objects.filter(event_id__in=ids).values_list("event_id", "subscriber"):
        if name in names:
            found[event_id].add(WATCHLIST)
    return found


def _wanted_since(topic: str, known: Iterable[Holder]) -> list[tuple[str, int]]:
    """The subscriptions that want a topic, each with the number after which it does."""
    return [(one.name, since) for one in known if (since := one.wants.since(topic)) is not None]


def _in_outbox(ids: Sequence[Any]) -> set[Any]:
    """Of these events those that the outbox has. Each question has an index of its own; new rows and those that are
    handed out are few, or nothing is pruned."""
    rows = OutboxMessage.objects.filter(event_id__in=ids)
    few = {
        *OutboxMessage.objects.new().values_list("event_id", flat=True),
        *OutboxMessage.objects.filter(claimed=True).values_list("event_id", flat=True),
    }
    return {
        *rows.exclude(subscriber="").values_list("event_id", flat=True),
        *rows.filter(subscriber="", due__isnull=False).values_list("event_id", flat=True),
        *few.intersection(ids),
    }
