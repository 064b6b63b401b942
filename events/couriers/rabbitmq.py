"""The RabbitMQ courier: outbox rows → exchange, deleted once the broker has confirmed them."""

from __future__ import annotations

from contextlib import nullcontext

import structlog
from django.db import connections, router, transaction

from events.brokers.publisher import Outgoing, Publisher
from events.brokers.rabbitmq import RabbitmqBroker
from events.models import OutboxMessage
from events.recording import UNKNOWN, bury
from events.subscription import interested_in, queue_of, subscriptions

log = structlog.get_logger("events.relay")

#: Rows published, confirmed and deleted in one transaction.
BATCH = 500
#: Rows whose time has come that go along while fresh ones wait, too.
RIPE_SHARE = 100


class RabbitmqCourier:
    """Publishes what is due: fresh rows first, in the order of commits per changed row, then those whose time has
    come."""

    def __init__(self, broker: RabbitmqBroker) -> None:
        self._broker = broker
        self._publisher = Publisher(broker)

    def carry(self) -> int:
        """Publish a batch and delete it. Raises PublishError; the rows stay."""
        # SQLite has one lock for all writers: a silent broker must not hold it. The relay is alone by its own lock.
        using = router.db_for_write(OutboxMessage)
        on_postgresql = connections[using].features.has_select_for_update_skip_locked
        with transaction.atomic(using=using) if on_postgresql else nullcontext():
            rows = OutboxMessage.objects.fresh().locked()[:BATCH].with_events()
            room = max(RIPE_SHARE, BATCH - len(rows))
            rows += OutboxMessage.objects.ripe().locked()[:room].with_events()
            if not rows:
                return 0
            returned = self._publisher.publish([self._outgoing(row) for row in rows])
            return self._delete(rows, returned)

    def keep_alive(self) -> None:
        self._publisher.pump()

    def close(self) -> None:
        self._publisher.close()

    def _outgoing(self, row: OutboxMessage) -> Outgoing:
        return Outgoing(
            exchange="" if row.subscriber else self._broker.exchange,
            routing_key=queue_of(row.subscriber) if row.subscriber else row.event.topic,
            body=row.event.envelope().encode(),
            message_id=f"{row.pk}",
            priority=row.priority,
            headers={"run": row.run, "attempt": row.attempt},
        )

    @transaction.atomic
    def _delete(self, rows: list[OutboxMessage], returned: set[str]) -> int:
        """Delete what arrived or has no one to go to, bury what is for a subscriber nobody has; returns how many.

        What should have found a queue stays; the next batch declares all queues anew.
        """
        strays = [row for row in rows if str(row.pk) in returned]
        unknown = [row for row in strays if row.subscriber and row.subscriber not in subscriptions]
        lost = [row for row in strays if row.subscriber in subscriptions or _has_subscribers(row)]
        bury(unknown, reason=UNKNOWN)
        kept = {row.pk for row in (*unknown, *lost)}
        OutboxMessage.objects.filter(pk__in=[row.pk for row in rows if row.pk not in kept]).delete()
        if lost:
            log.error("no queue took events that have subscribers", events=len(lost), first=str(lost[0].event_id))
            self._publisher.close()
        return len(rows) - len(lost)


def _has_subscribers(row: OutboxMessage) -> bool:
    return not row.subscriber and bool(interested_in(row.event.topic))
