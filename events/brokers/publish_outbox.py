"""The RabbitMQ courier: outbox rows → exchange, deleted once the broker has confirmed them."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import router, transaction

from ..inbox.retry import UNKNOWN, bury
from ..models import OutboxMessage
from ..outbox.messages import Owed
from ..subscription import interested_in, queue_of, subscriptions
from .amqp.publisher import Outgoing, Publisher
from .rabbitmq import RabbitmqBroker

log = structlog.get_logger("events.relay")

#: Rows published, confirmed and deleted in one go.
BATCH = 500
#: Rows whose time has come that go along while fresh ones wait, too.
RIPE_SHARE = 100


class RabbitmqCourier:
    """Publishes what is due: fresh rows first, in the order of commits per changed row, then those whose time has
    come.

    No row is left out because another relay holds it, and none is deleted before its confirm. So whoever publishes a
    row has published all earlier ones of the same changed row before, or they were confirmed: even two relays that
    both take themselves for the active one, as long as the one does not yet know that it lost its seat, publish some
    rows twice but none too early.
    """

    def __init__(self, broker: RabbitmqBroker, *, go_on: Callable[[], bool]) -> None:
        self._broker = broker
        self._publisher = Publisher(broker, go_on=go_on)
        self.until_due: float | None = None
        self.drained = False

    def carry(self) -> int:
        """Publish a batch and delete it, the fresh rows first. Raises PublishError; the rows stay."""
        fresh, self.until_due = OutboxMessage.objects.next_up(BATCH)
        moved = self._publish(fresh)
        ripe = self.until_due is not None and self.until_due <= 0
        if ripe:
            moved += self._publish(OutboxMessage.objects.ripe()[: max(RIPE_SHARE, BATCH - len(fresh))].owed())
        self.drained = len(fresh) < BATCH and not ripe
        return moved

    def keep_alive(self) -> None:
        self._publisher.pump()

    def close(self) -> None:
        self._publisher.close()

    def _publish(self, rows: list[Owed]) -> int:
        if not rows:
            return 0
        # No transaction is open while the broker thinks: it would hold rows, and VACUUM, for as long as it is silent.
        returned = self._publisher.publish([self._outgoing(row) for row in rows])
        return self._delete(rows, returned)

    def _outgoing(self, row: Owed) -> Outgoing:
        return Outgoing(
            exchange="" if row.subscriber else self._broker.exchange,
            routing_key=queue_of(row.subscriber) if row.subscriber else row.envelope.topic,
            body=row.envelope.encode(),
            message_id=f"{row.pk}",
            priority=row.priority,
            headers={"run": row.run, "attempt": row.attempt},
        )

    def _delete(self, rows: list[Owed], returned: set[str]) -> int:
        """Delete what arrived or has no one to go to, bury what is for a subscriber nobody has; returns how many.

        What should have found a queue stays; the next batch declares all queues anew.
        """
        strays = [row for row in rows if str(row.pk) in returned]
        unknown = [row for row in strays if row.subscriber and row.subscriber not in subscriptions]
        lost = [row for row in strays if row.subscriber in subscriptions or _has_subscribers(row)]
        if unknown:
            with transaction.atomic(using=router.db_for_write(OutboxMessage)):
                bury(unknown, reason=UNKNOWN)
        kept = {row.pk for row in (*unknown, *lost)}
        OutboxMessage.objects.remove([row for row in rows if row.pk not in kept])
        if lost:
            log.error("no queue took events that have subscribers", events=len(lost), first=str(lost[0].event_id))
            self._publisher.close()
        return len(rows) - len(lost)


def _has_subscribers(row: Owed) -> bool:
    return not row.subscriber and bool(interested_in(row.envelope.topic))
