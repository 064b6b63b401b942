"""The models of this app, handed to Django. Each is declared in the room that writes it."""

from .inbox.models import Attempt, AttemptSubject, DeadLetter, Delivery, StaleEvent
from .outbox.models import LogFloor, OutboxMessage, StoredEvent
from .relay.models import RelayTerm
from .repair.models import Straggler, Subscription
from .worker.models import FoldedCounts, Installation, Process

__all__ = [
    "Attempt",
    "AttemptSubject",
    "DeadLetter",
    "Delivery",
    "FoldedCounts",
    "Installation",
    "LogFloor",
    "OutboxMessage",
    "Process",
    "RelayTerm",
    "StaleEvent",
    "StoredEvent",
    "Straggler",
    "Subscription",
]
