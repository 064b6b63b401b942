"""Log context: which delivery a line of the log belongs to, also a line that a subscriber writes with plain `logging`.

Airy's own lines carry it. Another project adds the filter to its handlers, and the text to its format:

    "filters": {"delivery": {"()": "events.log_context.DeliveryFilter"}},
    "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s%(delivery)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["delivery"], "formatter": "plain"}},

Inside of a delivery the record also has each fact as an attribute of its own, for a formatter of structured logs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from .event import Event

#: Ids of one group or batch in a line, at most.
MOST_IDS = 50


class Named(Protocol):
    """What has a name: a subscription."""

    @property
    def name(self) -> str: ...


class Call(Protocol):
    """What a subscriber is called with."""

    @property
    def subscription(self) -> Named: ...

    @property
    def events(self) -> Sequence[Event]: ...


class Handled(NamedTuple):
    """A subscriber and its events, where nothing else is known of the call."""

    subscription: Named
    events: Sequence[Event]


#: The call of a subscriber to which this context belongs. Nothing is written of it before a line is.
handled: ContextVar[Call | None] = ContextVar("events_handled", default=None)


def delivery_facts() -> dict[str, Any]:
    """What a line of this context tells of its delivery; nothing outside of one.

    One event: event_id, topic, correlation_id, subscriber, attempt, run. A batch: `events`, the first MOST_IDS ids, and
    `count` if there are more.
    """
    call = handled.get()
    if call is None:
        return {}
    metas = [event.meta for event in call.events[:MOST_IDS]]
    facts: dict[str, Any] = {"subscriber": call.subscription.name}
    if len(call.events) == 1:
        facts |= {
            "event_id": str(metas[0].id),
            "topic": metas[0].topic,
            "correlation_id": str(metas[0].correlation_id),
        }
    else:
        facts["events"] = [str(meta.id) for meta in metas]
        if len(call.events) > MOST_IDS:
            facts["count"] = len(call.events)
    return facts | {"attempt": max(meta.attempt for meta in metas), "run": metas[0].run}


class DeliveryFilter(logging.Filter):
    """Adds to each record what `delivery_facts` tells: as attributes, where the line has none of that name, and as the
    text `delivery` (" event_id=… topic=…"), which is empty outside of a delivery. It keeps every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        facts = delivery_facts()
        missing = {name: value for name, value in facts.items() if not hasattr(record, name)}
        vars(record).update(missing, delivery="".join(f" {name}={value}" for name, value in missing.items()))
        return True
