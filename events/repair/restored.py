"""Restored: what has to be done when an older dump was restored while the broker, and the world, have seen more.

The inbox and the effects are of one moment, since they commit together. So what waits in queues takes effect once, and
what a queue has lost is healed by reconcile. What has to be mended is the log:

1. The next number of the log is moved far on, so that no new event gets a number that was given before.
2. Every message that waits is seen. What is signed and not in the log nor below its floor is learnt: it is entered
   with its own number, for everybody, or for one subscriber alone if it was on its way to that one only.
3. The next number is moved on again, beyond the highest that was seen.
4. Each app does its part (`after_restore`): the streams of notices begin a new epoch.

Cursors of subscriptions are of the moment of the dump, too, and below all that is learnt: so reconcile owes it to whom
it was not sent, or whose effect is lost. Ids are never given twice: they begin with the time.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, router
from django.db.models import Max

from ..after_restore import restorers
from ..brokers.contract import EventBroker, TopologyError
from ..db.commit import committed
from ..db.names import table
from ..inbox.message import ReceivedMessage
from ..outbox.log import only_for
from ..outbox.models import LogFloor, StoredEvent
from ..subscription import queue_of
from .announce import announce, bindings_of
from .models import Subscription
from .prune import EVENTS_PER_CHUNK

#: How far the next number of the log is moved beyond what was seen: more than were given since the dump.
JUMP = 1_000_000


class RestoreRefusedError(Exception):
    """It cannot be done now; the message says why, and what to do first."""


@dataclass(kw_only=True)
class Restored:
    """What was found and done.

    newest, newest_time: the last event that the dump has. seen: messages in queues. highest: the highest number that
    was seen. learnt: events that were entered into the log. renumbered: how many of them under a new number, since
    theirs was given again already. next_number: from where the log goes on. sentences: what each app did.
    """

    newest: int
    newest_time: dt.datetime | None
    seen: int = 0
    highest: int = 0
    learnt: int = 0
    renumbered: int = 0
    refused: int = 0
    next_number: int = 0
    sentences: list[str] = field(default_factory=list)


def restored(
    broker: EventBroker, *, sequence: int = 0, jump: int = JUMP, advance: Callable[[int], None] | None = None
) -> Restored:
    """Mend a database that was restored from an older dump. Doing it again is harmless.

    sequence: the highest number that is known to have been given. jump: how far beyond the highest the log goes on.
    advance: called with the number of messages that were seen since the last call.

    Raises RestoreRefusedError while a subscriber consumes, ConnectionError, and whatever the database raises.
    """
    announce()
    queues = _queues()
    _require_stopped(broker, list(queues))
    newest = StoredEvent.objects.order_by("-sequence").first()
    found = Restored(newest=newest.sequence if newest else 0, newest_time=newest.time if newest else None)
    move_on(max(found.newest, sequence) + jump)
    for queue, name in queues.items():
        learner = _Learner(name, found, advance)
        found.seen += broker.look_through(queue, see=learner.see)
        learner.learn()
    found.next_number = move_on(max(found.newest, found.highest, sequence) + jump)
    for restore in restorers.values():
        with committed(using=router.db_for_write(StoredEvent)):
            found.sentences.append(restore())
    return found


def move_on(number: int) -> int:
    """Let the log go on after this number, unless it is beyond it already. Returns from where on it goes on."""
    connection = connections[router.db_for_write(StoredEvent)]
    log = table(StoredEvent)
    with committed(using=connection.alias), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_get_serial_sequence(%s, 'sequence')", [log])
            (counter,) = cursor.fetchone()
            cursor.execute(f"LOCK TABLE {log} IN SHARE ROW EXCLUSIVE MODE")  # nobody takes a number meanwhile
            cursor.execute(
                "SELECT setval(%s::regclass, greatest(coalesce(pg_sequence_last_value(%s::regclass), 0), %s))",
                [counter, counter, number],
            )
            return int(cursor.fetchone()[0])
        name = StoredEvent._meta.db_table
        cursor.execute("UPDATE sqlite_sequence SET seq = max(seq, %s) WHERE name = %s RETURNING seq", [number, name])
        row = cursor.fetchone()
        if row is None:
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [name, number])
        return int(row[0]) if row else number


def _queues() -> dict[str, str]:
    """Each queue that a subscription may have, with its subscriber."""
    found: dict[str, str] = {}
    for row in Subscription.objects.order_by("name"):
        found |= dict.fromkeys([*bindings_of(row), row.queue, queue_of(row.name)], row.name)
    return found


def _require_stopped(broker: EventBroker, queues: list[str]) -> None:
    if broker.topology is None:
        return
    try:
        sizes = broker.topology.sizes(queues)
    except TopologyError as error:
        raise ConnectionError(str(error)) from error
    consumed = sorted(queue for queue, size in sizes.items() if size is not None and size.consumers)
    if consumed:
        raise RestoreRefusedError(
            f"Workers consume {', '.join(consumed[:3])}{' and others' if len(consumed) > 3 else ''}. End relay and"
            " workers (SIGTERM) and the web, then run it again."
        )


class _Learner:
    """Enters the events of one queue into the log that are not there."""

    def __init__(self, subscriber: str, found: Restored, advance: Callable[[int], None] | None) -> None:
        self._mark = only_for(subscriber)
        self._found = found
        self._advance = advance
        #: What is learnt below a cursor would be owed to nobody: it gets a new number, as if its own was given again.
        self._accounted = Subscription.objects.aggregate(upto=Max("accounted"))["upto"] or 0
        #: By id the message, and whether it is for every subscriber.
        self._new: dict[uuid.UUID, tuple[ReceivedMessage, bool]] = {}

    def see(self, message: ReceivedMessage, routing_key: str) -> None:
        """Remember a message of ours. Of others the number is hearsay; of what is refused nothing is known."""
        envelope = message.envelope
        if envelope is None:
            self._found.refused += 1
        elif message.claim is None and envelope.sequence is not None:
            self._found.highest = max(self._found.highest, envelope.sequence)
            for_all = routing_key == envelope.topic or self._new.get(envelope.id, (None, False))[1]
            self._new[envelope.id] = message, for_all
        if len(self._new) >= EVENTS_PER_CHUNK:
            self.learn()
        if self._advance:
            self._advance(1)

    def learn(self) -> None:
        """Enter what was remembered."""
        if not self._new:
            return
        ids: list[Any] = list(self._new)
        with committed(using=router.db_for_write(StoredEvent)):
            known = dict(StoredEvent.objects.filter(event_id__in=ids).values_list("event_id", "suppressed"))
            # Known as that of another subscriber alone, and seen here on its way to all, or to a second one.
            widened = [
                event_id
                for event_id, (_, for_all) in self._new.items()
                if event_id in known and self._was_learnt(event_id) and (for_all or known[event_id] != self._mark)
            ]
            StoredEvent.objects.filter(event_id__in=widened).update(suppressed="")
            new = {event_id: pair for event_id, pair in self._new.items() if event_id not in known}
            floors = LogFloor.objects.sequences(one.envelope.topic for one, _ in new.values() if one.envelope)
            taken = set(
                StoredEvent.objects.filter(
                    sequence__in=[one.envelope.sequence for one, _ in new.values() if one.envelope]
                ).values_list("sequence", flat=True)
            )
            rows = [
                row
                for message, for_all in new.values()
                if (row := self._row(message, for_all, floors=floors, taken=taken)) is not None
            ]
            StoredEvent.objects.bulk_create([row for row in rows if row.sequence is not None])
            StoredEvent.objects.bulk_create([row for row in rows if row.sequence is None])
        self._found.learnt += len(rows)
        self._new.clear()

    def _was_learnt(self, event_id: uuid.UUID) -> bool:
        """Whether the log has it from a queue: the dump has nothing after its newest."""
        message = self._new[event_id][0]
        return message.envelope is not None and (message.envelope.sequence or 0) > self._found.newest

    def _row(
        self, message: ReceivedMessage, for_all: bool, *, floors: dict[str, int], taken: set[int]
    ) -> StoredEvent | None:
        envelope = message.envelope
        if envelope is None or envelope.sequence is None or envelope.sequence < floors.get(envelope.topic, 0):
            return None
        is_free = envelope.sequence not in taken and envelope.sequence > self._accounted
        self._found.renumbered += not is_free
        return StoredEvent(
            sequence=envelope.sequence if is_free else None,
            event_id=envelope.id,
            topic=envelope.topic,
            version=envelope.version,
            source=envelope.source,
            subject=envelope.subject,
            time=envelope.time,
            data=envelope.data,
            correlation_id=envelope.correlation_id,
            causation_id=envelope.causation_id,
            traceparent=envelope.traceparent,
            suppressed="" if for_all else self._mark,
            priority=message.priority,
        )
