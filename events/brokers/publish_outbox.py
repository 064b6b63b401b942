"""Publish the outbox: rows → any broker that confirms what it was given."""

from __future__ import annotations

from collections.abc import Callable

from django.db import router, transaction

from ..inbox.retry import UNKNOWN_SUBSCRIBER, dead_letter
from ..logger import get_logger
from ..outbox.messages import OutboxRow
from ..outbox.models import OutboxMessage
from ..subscription import interested_in, queue_of, subscriptions
from .contract import DUE_ROWS_PER_PASS, ROWS_PER_PASS, GivenUpError, Outgoing, Publisher

log = get_logger("events.relay")


class PublishingCourier:
    """Publishes new rows first, per changed row in the order of commits, then due rows.

    Order: no row is skipped because another relay holds it, and no row is deleted before its confirm. So whoever
    publishes a row has published all earlier rows of the same changed row before, or these were confirmed. Two relays
    may both be active for a moment, until one of them notices that it lost its lease: then rows are published twice,
    but none too early.

    go_on: asked before each publish, whatever was waited for until then; False: the relay has lost its lease, or is to
    stop. What was confirmed is deleted even then: it would be published once more otherwise.
    """

    def __init__(self, publisher: Publisher, *, go_on: Callable[[], bool] = lambda: True) -> None:
        self._publisher = publisher
        self._go_on = go_on
        self.seconds_until_due: float | None = None
        self.drained = False

    def carry(self) -> int:
        """Publish a batch and delete it. Raises ConnectionError; then its rows stay."""
        new, self.seconds_until_due = OutboxMessage.objects.next_batch(ROWS_PER_PASS)
        moved = self._publish(new)
        some_due = self.seconds_until_due is not None and self.seconds_until_due <= 0
        if some_due:
            room = max(DUE_ROWS_PER_PASS, ROWS_PER_PASS - len(new))
            moved += self._publish(OutboxMessage.objects.due()[:room].as_rows())
        self.drained = len(new) < ROWS_PER_PASS and not some_due
        return moved

    def keep_alive(self) -> None:
        self._publisher.keep_alive()

    def close(self) -> None:
        self._publisher.close()

    def _publish(self, rows: list[OutboxRow]) -> int:
        if not rows:
            return 0
        if not self._go_on():
            raise GivenUpError("told not to go on")
        # No transaction is open while the broker is slow: it would hold rows, and VACUUM, for as long.
        returned = self._publisher.publish([_outgoing(row) for row in rows])
        return self._settle(rows, returned)

    def _settle(self, rows: list[OutboxRow], returned: set[str]) -> int:
        """Settle rows that were published; returns how many left the outbox.

        | a row whose message  | and                            | what becomes of it                            |
        |----------------------|--------------------------------|-----------------------------------------------|
        | found a queue        |                                | it is deleted                                 |
        | found no queue       | is for an unknown subscriber   | it becomes a dead letter                      |
        | found no queue       | nobody subscribes to its topic | it is deleted: it was delivered to nobody     |
        | found no queue       | a subscriber should have it    | it stays; the next batch declares all queues  |
        """
        unrouted = [row for row in rows if str(row.pk) in returned]
        unknown = [row for row in unrouted if row.subscriber and row.subscriber not in subscriptions]
        lost = [row for row in unrouted if row.subscriber in subscriptions or _has_subscribers(row)]
        if unknown:
            with transaction.atomic(using=router.db_for_write(OutboxMessage)):
                dead_letter(unknown, reason=UNKNOWN_SUBSCRIBER)
        kept = {row.pk for row in (*unknown, *lost)}
        OutboxMessage.objects.remove([row for row in rows if row.pk not in kept])
        if lost:
            log.error("no queue took events that have subscribers", events=len(lost), first=str(lost[0].event_id))
            self._publisher.close()
        return len(rows) - len(lost)


def _outgoing(row: OutboxRow) -> Outgoing:
    return Outgoing(
        topic=row.envelope.topic,
        queue=queue_of(row.subscriber) if row.subscriber else "",
        body=row.envelope.encode(),
        message_id=f"{row.pk}",
        priority=row.priority,
        headers={"run": row.run, "attempt": row.attempt},
    )


def _has_subscribers(row: OutboxRow) -> bool:
    return not row.subscriber and bool(interested_in(row.envelope.topic))
