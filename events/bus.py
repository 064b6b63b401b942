"""The event bus: declare events, emit them, subscribe to them. The public door of this app."""

from .after_restore import after_restore
from .chores import chore
from .event import Event, Meta
from .event_source import EventSource
from .inbox.quotes import redact_errors
from .inbox.redact import redact
from .outbox.continuation import ContinuationError, continue_with
from .outbox.emit import EmitOutsideTransactionError, emit, emit_many, suppressed
from .subscription import PermanentFailure, RetryAfter, subscriber

__all__ = [
    "ContinuationError",
    "EmitOutsideTransactionError",
    "Event",
    "EventSource",
    "Meta",
    "PermanentFailure",
    "RetryAfter",
    "after_restore",
    "chore",
    "continue_with",
    "emit",
    "emit_many",
    "redact",
    "redact_errors",
    "subscriber",
    "suppressed",
]
