"""Event id: when it was made. `emit` gives each event a UUIDv7, which begins with the milliseconds since 1970."""

from __future__ import annotations

import datetime as dt
import uuid

_MILLISECOND = dt.timedelta(milliseconds=1)
#: How far ahead a process's clock may be. An id that says more is no UUIDv7.
AHEAD = dt.timedelta(days=1)
EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
#: No UUIDv7 is older.
FIRST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def lowest_id(time: dt.datetime) -> uuid.UUID:
    """The id before which all are that were made before this time."""
    return uuid.UUID(int=((time - EPOCH) // _MILLISECOND) << 80)


def made_at(event_id: uuid.UUID) -> dt.datetime:
    """When an id was made, to the millisecond. Only of one that tells it."""
    return EPOCH + (event_id.int >> 80) * _MILLISECOND


def tells_time(event_id: uuid.UUID) -> bool:
    """Whether an id is a UUIDv7."""
    return event_id.int >> 76 & 0xF == 7


def is_made_since(lowest: uuid.UUID, event_id: uuid.UUID) -> bool:
    """Whether an id says that it was made at the time of `lowest_id` or later. One that is no UUIDv7 does not."""
    return event_id.int >= lowest.int and tells_time(event_id)


def was_made_before(time: dt.datetime, event_id: uuid.UUID, *, written: dt.datetime) -> bool:
    """Whether an event was made before a time: by its id or, if that does not tell, by the time that it has written."""
    if tells_time(event_id):
        return not is_made_since(lowest_id(time), event_id)
    return written < time
