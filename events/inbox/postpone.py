"""Postpone: an event that only newer code can read waits for a worker that has it, and spends no attempt.

While an installation is upgraded, workers of the old and of the new code take from the same queue. One of the tries
reaches a new worker. After `PATIENCE` nobody had it, and the event becomes a dead letter.
"""

from __future__ import annotations

import datetime as dt
import random

from ..db.dialect import DeliveryKey
from ..envelope import NewerVersionError, UnknownTopicError, source
from ..outbox.models import OutboxMessage
from .message import ReceivedMessage
from .models import Delivery

#: How long an event waits for code that can read it, from the first worker that could not.
PATIENCE = dt.timedelta(hours=1)
#: Seconds between two tries: the shortest, the longest.
PAUSE = (5.0, 30.0)
#: How the reason of a postponed delivery begins.
POSTPONED = "waits for newer code: "


def waits_for_newer_code(error: BaseException, message: ReceivedMessage) -> bool:
    """Whether newer code may read what this code cannot. A topic of ours that is unknown here may be a new one."""
    if isinstance(error, UnknownTopicError):
        return message.envelope is not None and message.envelope.source == source()
    return isinstance(error, NewerVersionError)


def postpone(key: DeliveryKey, message: ReceivedMessage, *, reason: str, now: dt.datetime) -> OutboxMessage | None:
    """The outbox row of the next try of the same attempt, in the caller's transaction; None if the delivery is final
    or has waited long enough.

    now: by the clock of the database.
    """
    since = Delivery.objects.postponed_since(key, attempt=message.attempt, reason=POSTPONED + reason, now=now)
    if since is None or now - since >= PATIENCE:
        return None
    return OutboxMessage(
        event_id=key.event_id,
        subscriber=key.subscriber,
        due=now + dt.timedelta(seconds=random.uniform(*PAUSE)),
        run=key.run,
        attempt=message.attempt,
        priority=message.priority,
        claimed=False,
    )
