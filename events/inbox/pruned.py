"""Pruned: messages of events that are not kept any more take no effect; they are acknowledged.

With an event its rows of the inbox go, too. So a message that comes after that cannot be compared with them: its event
is below the floor, and not in the log. What keeps a second effect away, whatever happens at the same time:

1. `prune` commits the floor first, then the deletion of the log row together with its rows of the inbox.
2. Here the row of the inbox is written first, then the floor is read. If the row was new because the earlier one was
   gone, the floor above it was committed before.

Only messages of ours have a number in the log; `proven` takes it from others. A message that is younger than half of
the shortest keep time is not looked at, so the floor costs nothing in the normal case.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from ..db.dialect import DeliveryKey
from ..figures import Counter
from ..keep import SHORTEST
from ..logger import get_logger
from ..outbox.event_id import lowest_id
from ..outbox.models import LogFloor, StoredEvent
from ..subscription import subscriptions
from .message import ReceivedMessage
from .models import Delivery

log = get_logger("events.delivery")

PRUNED = Counter(
    "airy_pruned_messages_total",
    "Messages that came after their event had been pruned, acknowledged without effect and counted as skipped, too",
    labels=["subscriber"],
    known=lambda: [(name,) for name in subscriptions],
)


def record_unless_pruned(
    messages: Mapping[DeliveryKey, ReceivedMessage], *, attempts: dict[DeliveryKey, int], time_limit: int
) -> set[DeliveryKey]:
    """As `record_done`, but for messages of pruned events, which are not recorded."""
    recorded = Delivery.objects.record_done(messages, attempts=attempts, time_limit=time_limit)
    if not _old(messages):
        return recorded
    gone = pruned_among({key: messages[key] for key in recorded})
    for key in gone:
        Delivery.objects.filter(event_id=key.event_id, subscriber=key.subscriber, run=key.run).delete()
    return recorded - gone


def is_open(key: DeliveryKey, message: ReceivedMessage) -> bool:
    """Whether a delivery has no final state, and its event was not pruned."""
    if not Delivery.objects.is_open(key):
        return False
    gone = pruned_among({key: message})
    if gone:
        Delivery.objects.filter(event_id=key.event_id, subscriber=key.subscriber, run=key.run).delete()
    return not gone


def pruned_among(messages: Mapping[DeliveryKey, ReceivedMessage]) -> set[DeliveryKey]:
    """The messages whose event was pruned: it is below the floor of its topic, and not in the log."""
    old = _old(messages)
    if not old:
        return set()
    floors = LogFloor.objects.sequences(topic for topic, _ in old.values())
    below = {key for key, (topic, sequence) in old.items() if sequence < floors.get(topic, 0)}
    if not below:
        return set()
    kept = set(
        StoredEvent.objects.filter(event_id__in=[key.event_id for key in below]).values_list("event_id", flat=True)
    )
    gone = {key for key in below if key.event_id not in kept}
    _log(gone)
    return gone


def _old(messages: Mapping[DeliveryKey, ReceivedMessage]) -> dict[DeliveryKey, tuple[str, int]]:
    """Topic and number of the messages that may be below a floor."""
    young = lowest_id(dt.datetime.now(dt.UTC) - SHORTEST / 2).int
    found: dict[DeliveryKey, tuple[str, int]] = {}
    # Not by a function per event: nearly all are young UUIDv7, and each event of a drain is asked.
    for key in [key for key in messages if key.event_id.int < young or key.event_id.int >> 76 & 0xF != 7]:
        envelope = messages[key].envelope
        if envelope is not None and envelope.sequence is not None:
            found[key] = envelope.topic, envelope.sequence
    return found


def _log(gone: Iterable[DeliveryKey]) -> None:
    for key in sorted(gone, key=DeliveryKey.order):
        PRUNED.labels(key.subscriber).inc()
        log.warning(
            "pruned before it came: acknowledged without effect", event_id=str(key.event_id), subscriber=key.subscriber
        )
