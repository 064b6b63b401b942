"""Continuation: long work as a chain of deliveries to one subscriber, a chunk of the work in each.

The next chunk is an event of its own in the log, with its cause, and owed to this subscriber alone: a targeted row of
the outbox. `ONLY` in the log marks it, so nobody else is owed it, neither by reconcile nor by a replay.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

from django.db import connections, router

from .. import tracing
from ..db.dialect import database_now
from ..envelope import source
from ..event import Event, Meta
from ..log_context import handled
from ..subscription import Subscription
from .emit import is_suppressed, line_of, require_in_range, require_transaction
from .log import only_for
from .models import OutboxMessage, StoredEvent


class ContinuationError(RuntimeError):
    """continue_with() was called where there is no chunk to continue; the message says what to do instead."""


class Chunk(NamedTuple):
    """What a subscriber was called with. connection: that of the delivery's transaction; None: it has none."""

    subscription: Subscription
    events: Sequence[Event]
    connection: Any


#: The call of a subscriber in this context.
_current: ContextVar[Chunk | None] = ContextVar("events_current_chunk", default=None)


class delivering:
    """While a subscriber runs: what it was called with, for `continue_with` and for the lines of the log. A class,
    since every single event enters one: a generator takes longer."""

    __slots__ = ("_chunk", "_token", "_token_of_log")

    def __init__(self, subscription: Subscription, events: Sequence[Event], connection: Any) -> None:
        self._chunk = Chunk(subscription, events, connection)

    def __enter__(self) -> None:
        self._token = _current.set(self._chunk)
        self._token_of_log = handled.set(self._chunk)

    def __exit__(self, *exception: object) -> None:
        handled.reset(self._token_of_log)
        _current.reset(self._token)


def continue_with(
    event: Event, *, priority: int = 0, delay: dt.timedelta | None = None, cause: Event | None = None
) -> uuid.UUID:
    """Owe the subscriber that runs now its next chunk: an event with the cursor from where to go on. Returns its id.

    No other subscriber gets it. It is written in the transaction of this delivery, so this chunk's effect and the next
    chunk commit together or not at all. Call it once per chunk; twice makes two chains.

    priority, delay: as in `emit`. cause: the event that this chunk continues; by default the event that is handled, and
    a batch subscriber with several must say which.

    Raises ContinuationError outside of a subscriber and its transaction, in one with atomic=False, and inside of
    suppressed(); TypeError for an event that the subscriber does not take; ValueError for a batch without cause, for a
    cause that it was not called with, and as `emit` does.
    """
    chunk = _current.get()
    if chunk is None:
        raise ContinuationError("continue_with() continues a delivery: call it in a subscriber; elsewhere use emit()")
    name = chunk.subscription.name
    _require_transaction_of(chunk)
    _require_taken(event, chunk.subscription)
    if is_suppressed():
        raise ContinuationError(
            f"{name}: continue_with() inside of suppressed(): the rest of the work would be lost; call it after that"
        )
    require_in_range(priority, delay)
    now = dt.datetime.now(dt.UTC)
    line = line_of(event, _cause(chunk, cause), now, only_for(name), source())
    if tracing.spans is not None:
        [line] = tracing.spans.create([line])
    StoredEvent.objects.append([line], priority=priority)
    due = database_now(chunk.connection) + (delay or dt.timedelta(0))
    row = OutboxMessage(
        event_id=line.event_id, subscriber=name, due=due, attempt=1, priority=priority, size=len(line.data)
    )
    OutboxMessage.objects.schedule([row])
    return line.event_id


def _require_transaction_of(chunk: Chunk) -> None:
    name = chunk.subscription.name
    if chunk.connection is None:
        raise ContinuationError(
            f"{name}: continue_with() must commit together with the record that this chunk is done: "
            "declare the subscriber without atomic=False"
        )
    if connections[router.db_for_write(StoredEvent)] is not chunk.connection:
        raise ContinuationError(
            f"{name}: continue_with() must run in the transaction of the delivery: "
            "call it in the subscriber itself, not in another thread or task of the pool"
        )
    require_transaction()


def _require_taken(event: Event, subscription: Subscription) -> None:
    if not isinstance(event, Event):
        raise TypeError(f"continue_with() takes an event, an instance of a subclass of Event, not {event!r}")
    if not subscription.wants(event.topic):
        raise TypeError(
            f"{subscription.name} does not take {type(event).__name__}, so it cannot continue with it: add it to "
            f"@subscriber({', '.join(subscription.patterns)}), or use emit() for other subscribers"
        )


def _cause(chunk: Chunk, cause: Event | None) -> Meta:
    events = chunk.events
    if cause is None:
        if len(events) > 1:
            raise ValueError(
                f"{chunk.subscription.name} was called with {len(events)} events: "
                "say which one this continues, continue_with(…, cause=event)"
            )
        return events[0].meta
    if not any(one is cause for one in events):
        raise ValueError(f"{chunk.subscription.name}: cause= must be an event that the subscriber was called with")
    return cause.meta
