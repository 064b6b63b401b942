"""Event id: when it was made. `emit` gives each event a UUIDv7, which begins with the milliseconds since 1970."""

from __future__ import annotations

import datetime as dt
import uuid

_MILLISECOND = dt.timedelta(milliseconds=1)
#: How far ahead a process's clock may be. An id that says more is no UUIDv7.
AHEAD = dt.timedelta(days=1)
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)


def lowest_id(time: dt.datetime) -> uuid.UUID:
    """The id before which all are that were made before this time."""
    return uuid.UUID(int=((time - _EPOCH) // _MILLISECOND) << 80)


def tells_time(event_id: uuid.UUID) -> bool:
    """Whether an id is a UUIDv7."""
    return event_id.int >> 76 & 0xF == 7


def is_made_since(lowest: uuid.UUID, event_id: uuid.UUID) -> bool:
    """Whether an id says that it was made at the time of `lowest_id` or later. One that is no UUIDv7 does not."""
    return event_id.int >= lowest.int and tells_time(event_id)
