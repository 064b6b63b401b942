"""The models of this app, handed to Django. Each is declared in the room that writes it."""

from .inbox.models import Attempt, DeadLetter, Delivery
from .outbox.models import OutboxMessage, StoredEvent
from .repair.models import Straggler, Subscription
from .worker.models import Process

__all__ = [
    "Attempt",
    "DeadLetter",
    "Delivery",
    "OutboxMessage",
    "Process",
    "StoredEvent",
    "Straggler",
    "Subscription",
]
