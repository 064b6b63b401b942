"""Emit: write an event to the log and the outbox, in the transaction of the change that it reports."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import connections, router
from uuid_utils.compat import uuid7

from .. import tracing
from ..envelope import source
from ..event import Event, Meta
from ..event_source import changing
from ..loading import is_loading
from ..logger import get_logger
from .log import ONLY, LogLine
from .models import StoredEvent
from .round_trip import as_json, subject_of

log = get_logger("events.emit")

#: The event that a subscriber handles in this context. It is the cause of every event that is emitted meanwhile.
current_event: ContextVar[Meta | None] = ContextVar("events_current_event", default=None)
_suppressed: ContextVar[str] = ContextVar("events_suppressed", default="")


class EmitOutsideTransactionError(RuntimeError):
    """An event was emitted outside of a transaction, so it could not commit together with its change."""


def emit(
    event: Event, *, priority: int = 0, delay: dt.timedelta | None = None, cause: Event | None = None
) -> uuid.UUID:
    """Emit one event and return its id.

    priority: 0 (normal) to 9 (first). delay: the shortest time until delivery, by the database's clock.
    cause: the received event that led to this one; by default the event that is handled now.

    Raises EmitOutsideTransactionError outside of `transaction.atomic()`; a test's own wrapping transaction does not
    count. Raises ValueError for an event that no subscriber could read back equal: NaN, text that is no text, a value
    that a field of several types reads as another type; the message names the field and what to write instead.
    """
    return emit_many((event,), priority=priority, delay=delay, cause=cause)[0]


def emit_many(
    events: Iterable[Event],
    *,
    priority: int = 0,
    delay: dt.timedelta | None = None,
    cause: Event | Sequence[Event] | None = None,
) -> list[uuid.UUID]:
    """Emit events in the order given and return their ids. For bulk_create(), update() and m2m.add(), which send no
    signals.

    priority, delay: as in `emit`. cause: one event for all, as in `emit`; or a sequence with one per event, as a batch
    subscriber has them.

    While a fixture is loaded (`raw=True` in Django's signals) nothing is emitted: the ids are those of no event.

    Raises as `emit` does, and ValueError for a priority or delay out of range.
    """
    if is_loading.get():
        events = list(events)
        log.debug("not emitted while a fixture is loaded", events=len(events))
        return [uuid7() for _ in events]
    require_transaction()
    require_in_range(priority, delay)
    events = list(events)
    causes = [one.meta for one in cause] if isinstance(cause, Sequence) else [_cause(cause)] * len(events)
    suppressed, now, ours = _suppressed.get(), dt.datetime.now(dt.UTC), source()
    lines = [line_of(event, meta, now, suppressed, ours) for event, meta in zip(events, causes, strict=True)]
    if tracing.spans is not None and not suppressed:
        lines = tracing.spans.create(lines)
    StoredEvent.objects.append(lines, priority=priority, delay=delay)
    return [line.event_id for line in lines]


@contextmanager
def suppressed(reason: str) -> Iterator[None]:
    """Log the events that are emitted inside, with the reason, and deliver them to no subscriber.

    Raises ValueError for an empty reason, or one with the mark of `continue_with`; 200 characters of it are kept.
    """
    if not reason:
        raise ValueError("suppressed() needs a reason: it is stored in the log with each event")
    if reason.startswith(ONLY):
        raise ValueError(f"suppressed({reason!r}): a reason must not begin with {ONLY!r}, the mark of continue_with()")
    token = _suppressed.set(reason[:200])
    try:
        yield
    finally:
        _suppressed.reset(token)


def is_suppressed() -> bool:
    """Whether this code runs inside of suppressed()."""
    return bool(_suppressed.get())


def _cause(cause: Event | None) -> Meta | None:
    return cause.meta if cause is not None else current_event.get()


def require_in_range(priority: int, delay: dt.timedelta | None) -> None:
    """Raise ValueError for a priority or delay out of range."""
    if type(priority) is not int or not 0 <= priority <= 9:
        raise ValueError(f"priority must be a whole number from 0 (normal) to 9 (first); it is {priority!r}")
    if delay is not None and (not isinstance(delay, dt.timedelta) or delay < dt.timedelta(0)):
        raise ValueError(f"delay must be a timedelta of zero or more; it is {delay!r}")


def line_of(event: Event, cause: Meta | None, now: dt.datetime, reason: str, ours: str) -> LogLine:
    """The line of the log for a new event. reason: why it is suppressed. Raises as `emit` does."""
    if not isinstance(event, Event):
        raise TypeError(f"emit() takes an event, an instance of a subclass of Event, not {event!r}")
    if not event.topic:
        raise TypeError(f"{type(event).__name__} has no topic: declare class {type(event).__name__}(Event, topic=…)")
    data = as_json(event)
    event_id = uuid7()
    return LogLine(
        event_id=event_id,
        topic=event.topic,
        version=event.version,
        source=ours,
        subject=subject_of(event),
        time=now,
        data=data,
        correlation_id=cause.correlation_id if cause else event_id,
        causation_id=cause.id if cause else None,
        suppressed=reason,
    )


def require_transaction() -> None:
    """Raise EmitOutsideTransactionError unless what is written now commits with the change that it reports."""
    events = router.db_for_write(StoredEvent)
    change = changing.get()
    if change is not None and change[1] != events:
        raise EmitOutsideTransactionError(
            f"{change[0]} is written to {change[1]!r}, events to {events!r}: they cannot commit together. Let a"
            " database router send both to one database"
        )
    if any(not getattr(block, "_from_testcase", False) for block in connections[events].atomic_blocks):
        return
    others = [
        one.alias for one in connections.all(initialized_only=True) if one.in_atomic_block and one.alias != events
    ]
    if others:
        raise EmitOutsideTransactionError(
            f"emit() must run in the transaction of the change it describes, but this one is on {others[0]!r}, and"
            f" events are written to {events!r}: let a database router send both to one database"
        )
    raise EmitOutsideTransactionError(
        "emit() must run in the transaction of the change it describes: wrap both in `with transaction.atomic():`, "
        "or add the EventSource mixin to the model, whose save() and delete() do this"
    )
