"""The event bus: the one public door of this app."""

from events.emitting import EmitOutsideTransactionError, emit, emit_many, suppressed
from events.event import Event, Meta
from events.source import EventSource
from events.subscription import PermanentFailure, RetryAfter, subscriber

__all__ = [
    "EmitOutsideTransactionError",
    "Event",
    "EventSource",
    "Meta",
    "PermanentFailure",
    "RetryAfter",
    "emit",
    "emit_many",
    "subscriber",
    "suppressed",
]
