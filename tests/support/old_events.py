"""Old events: as if emitted some time ago, by their ids and times; and the messages of ours that carry them."""

from __future__ import annotations

import datetime as dt
import uuid
from random import getrandbits

from django.db import transaction

from events.envelope import source
from events.event import Event
from events.inbox.message import ReceivedMessage
from events.models import StoredEvent
from events.outbox.emit import line_of
from events.outbox.event_id import lowest_id
from events.signature import signed_headers
from events.subscription import subscriptions
from tests.effects.events import Rang


def id_made(time: dt.datetime) -> uuid.UUID:
    """A UUIDv7 as it was made at that time."""
    return uuid.UUID(int=lowest_id(time).int | 7 << 76 | 2 << 62 | getrandbits(62))


def emit_ago(age: dt.timedelta, *events: Event, reason: str = "") -> list[uuid.UUID]:
    """Emit events, in one transaction, as a process did whose clock showed so much less. reason: why suppressed."""
    then = dt.datetime.now(dt.UTC) - age
    lines = [
        line_of(event, None, then, reason, source())._replace(event_id=id_made(then), correlation_id=id_made(then))
        for event in events
    ]
    with transaction.atomic():
        StoredEvent.objects.append(lines)
    return [line.event_id for line in lines]


def ring_ago(age: dt.timedelta, count: int = 1, *, start: int = 0, mood: str = "calm") -> list[uuid.UUID]:
    """Bells that rang so long ago, with numbers from `start` on."""
    return emit_ago(age, *(Rang(number=number, mood=mood) for number in range(start, start + count)))


def message_to(name: str, event_id: uuid.UUID) -> ReceivedMessage:
    """The message of an event of the log, as the relay publishes it and the subscriber receives it."""
    envelope = StoredEvent.objects.get(event_id=event_id).envelope()
    return received(name, envelope.encode(), route=envelope.topic)


def received(name: str, body: bytes, *, route: str) -> ReceivedMessage:
    """Signed bytes, as a subscriber receives them."""
    headers = signed_headers(body, route=route, run=0, attempt=1, priority=0)
    return ReceivedMessage.decode(body, headers=headers, routing_key=route, queue=subscriptions[name].queue)
