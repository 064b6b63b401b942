"""Hand over the outbox: rows → mailboxes of this process.

The way of a row, each step in the courier's next pass:

1. A new row is expanded to one row per subscriber of its topic.
2. A row for a subscriber is claimed, and its message put into the subscriber's mailbox.
3. The delivery has its outcome: the row is deleted. A failed delivery has scheduled it again, with the next attempt:
   then it stays.

A row that is claimed, but not by this process, belonged to a process that died: it is redelivered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from django.db import router

from .. import tracing
from ..db.commit import committed
from ..inbox.message import ReceivedMessage
from ..inbox.retry import UNKNOWN_SUBSCRIBER, dead_letter
from ..outbox.messages import OutboxRow
from ..outbox.models import OutboxMessage
from ..subscription import interested_in, subscriptions
from .contract import BYTES_PER_PASS, DUE_ROWS_PER_PASS, ROWS_PER_PASS, GivenUpError
from .dangling import DanglingRows
from .relayed import count_handed_over

if TYPE_CHECKING:
    from .embedded import EmbeddedBroker

#: Messages of one subscriber and priority that wait in memory, at most. The others wait in the outbox.
MAILBOX_CAPACITY = 500


class ClaimedRow(NamedTuple):
    """An outbox row that is handed out, and the attempt it is handed out for. A row that was scheduled again meanwhile
    has another attempt."""

    pk: int
    attempt: int


class Receiver(NamedTuple):
    """A subscriber that rows wait for: how many it can take now, and of which priority at least."""

    subscriber: str
    room: int
    least_priority: int


class EmbeddedCourier:
    """Expands new rows, hands out the rows of each subscriber, and deletes those whose delivery has its outcome."""

    def __init__(self, broker: EmbeddedBroker, *, go_on: Callable[[], bool] = lambda: True) -> None:
        self._broker = broker
        self._go_on = go_on
        count_handed_over(0)
        self.seconds_until_due: float | None = None
        self.drained = False
        self._dangling = DanglingRows()
        claimed = {ClaimedRow(*row) for row in OutboxMessage.objects.in_flight()}
        #: Rows that were claimed by a process that died: each may be what killed it.
        self._redelivered = {row.pk for row in claimed - broker.claimed}
        for start in range(0, len(orphans := sorted(self._redelivered)), ROWS_PER_PASS):
            OutboxMessage.objects.filter(pk__in=orphans[start : start + ROWS_PER_PASS]).update(claimed=False, due=None)

    def carry(self) -> int:
        buried = self._dangling.search(ROWS_PER_PASS) if self._go_on() else 0
        self.seconds_until_due = OutboxMessage.objects.seconds_until_due()
        some_due = self.seconds_until_due is not None and self.seconds_until_due <= 0
        some_new = OutboxMessage.objects.new().exists()
        self.drained = not (some_due or some_new or self._broker.has_settled() or any(self._receivers()))
        if self.drained:
            return buried
        with committed(using=router.db_for_write(OutboxMessage)):
            # On SQLite no other relay can begin a term from here on until the commit.
            if not self._go_on():
                raise GivenUpError("told not to go on")
            moved = buried + delete_settled(self._broker)
            if some_due:
                moved += self._take_up_due(DUE_ROWS_PER_PASS if some_new else ROWS_PER_PASS)
            moved += self._expand_new()
            handed_out: dict[str, list[ReceivedMessage]] = {}
            for receiver in self._receivers():
                if subscription := subscriptions.get(receiver.subscriber):
                    handed_out[subscription.queue] = self._claim(receiver)
                else:
                    moved += self._dead_letter(receiver.subscriber)
        for queue, messages in handed_out.items():
            tracing.send(self._broker.mailboxes[queue].put, messages, destination=queue)(messages)
            # Only after the commit: a row whose claim was rolled back is in no mailbox.
            self._broker.claimed |= {message.tag for message in messages}
            moved += len(messages)
        count_handed_over(sum(map(len, handed_out.values())))
        return moved

    def keep_alive(self) -> None:
        """There is no connection."""

    def close(self) -> None:
        """Nothing to release: the workers continue with what was handed out."""

    def _take_up_due(self, limit: int) -> int:
        due = list(OutboxMessage.objects.due().values_list("pk", flat=True)[:limit])
        return OutboxMessage.objects.filter(pk__in=due).update(due=None) if due else 0

    def _expand_new(self) -> int:
        columns = ("pk", "event__event_id", "event__topic", "priority")
        new = list(OutboxMessage.objects.new().values_list(*columns)[:ROWS_PER_PASS])
        if not new:
            return 0
        OutboxMessage.objects.bulk_create(
            [
                OutboxMessage(event_id=event_id, subscriber=subscription.name, priority=priority)
                for _, event_id, topic, priority in new
                for subscription in interested_in(topic)
            ],
            ignore_conflicts=True,
        )
        OutboxMessage.objects.filter(pk__in=[pk for pk, *_ in new]).delete()
        return len(new)

    def _receivers(self) -> Iterator[Receiver]:
        """The subscribers that can take rows now, and those that do not exist, whose rows become dead letters.

        A full mailbox still has room for rows that are more urgent than what waits in it.
        """
        for name in OutboxMessage.objects.subscribers_waiting():
            room, least = ROWS_PER_PASS, 0
            if subscription := subscriptions.get(name):
                mailbox = self._broker.mailboxes[subscription.queue]
                if (room := MAILBOX_CAPACITY - mailbox.size()) <= 0:
                    least = OutboxMessage.objects.for_subscriber(name).values_list("priority", flat=True).first() or 0
                    room = MAILBOX_CAPACITY - mailbox.size(priority=least)
            if room > 0:
                yield Receiver(name, room, least)

    def _claim(self, receiver: Receiver) -> list[ReceivedMessage]:
        waiting = OutboxMessage.objects.for_subscriber(receiver.subscriber)
        urgent = waiting.filter(priority__gte=receiver.least_priority)
        rows = urgent.bounded(receiver.room, most_bytes=BYTES_PER_PASS).rows
        OutboxMessage.objects.filter(pk__in=[row.pk for row in rows]).update(claimed=True)
        return [self._message(row) for row in rows]

    def _dead_letter(self, subscriber: str) -> int:
        rows = OutboxMessage.objects.for_subscriber(subscriber)[:ROWS_PER_PASS].as_rows()
        dead_letter(rows, reason=UNKNOWN_SUBSCRIBER)
        return len(rows)

    def _message(self, row: OutboxRow) -> ReceivedMessage:
        redelivered = row.pk in self._redelivered
        self._redelivered.discard(row.pk)
        return ReceivedMessage(
            envelope=row.envelope,
            body=b"",
            run=row.run,
            attempt=row.attempt,
            priority=row.priority,
            redelivered=redelivered,
            tag=ClaimedRow(row.pk, row.attempt),
        )


def release_unstarted(broker: EmbeddedBroker) -> None:
    """Called when no thread works any more: delete settled rows, and unclaim the rows that were not started. Rows of
    redelivered messages stay claimed."""
    with committed(using=router.db_for_write(OutboxMessage)):
        while delete_settled(broker):
            pass
        unstarted = [message for mailbox in broker.mailboxes.values() for message in mailbox.empty()]
        broker.claimed.difference_update(message.tag for message in unstarted)
        fresh = [message.tag.pk for message in unstarted if not message.redelivered]
        for start in range(0, len(fresh), ROWS_PER_PASS):
            OutboxMessage.objects.filter(pk__in=fresh[start : start + ROWS_PER_PASS]).update(claimed=False)


def delete_settled(broker: EmbeddedBroker) -> int:
    """Delete rows whose delivery has its outcome, ROWS_PER_PASS at most; returns the number that were settled."""
    settled = set(broker.take_settled(ROWS_PER_PASS))
    if not settled:
        return 0
    broker.claimed -= settled
    rows = OutboxMessage.objects.filter(pk__in=[row.pk for row in settled], claimed=True)
    # A failed delivery has scheduled its row again, with another attempt: that row stays.
    done = settled & {ClaimedRow(*row) for row in rows.values_list("pk", "attempt")}
    OutboxMessage.objects.filter(pk__in=[row.pk for row in done], claimed=True).delete()
    return len(settled)
