"""The RabbitMQ courier: outbox rows → exchange, deleted once the broker has confirmed them."""

from __future__ import annotations

import structlog
from django.db import router, transaction

from events.brokers.publisher import Outgoing, Publisher
from events.brokers.rabbitmq import RabbitmqBroker
from events.couriers.wire import envelope_of
from events.models import OutboxMessage
from events.subscription import interested_in, subscriptions

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
        with transaction.atomic(using=router.db_for_write(OutboxMessage)):
            rows = OutboxMessage.objects.fresh().locked()[:BATCH].with_events()
            room = max(RIPE_SHARE, BATCH - len(rows))
            rows += OutboxMessage.objects.ripe().locked()[:room].with_events()
            if rows:
                returned = self._publisher.publish([self._outgoing(row) for row in rows])
                self._delete(rows, returned)
        return len(rows)

    def pause(self, seconds: float) -> None:
        self._publisher.pump()

    def close(self) -> None:
        self._publisher.close()

    def _outgoing(self, row: OutboxMessage) -> Outgoing:
        subscription = subscriptions.get(row.subscriber)
        queue = subscription.queue if subscription else row.subscriber
        return Outgoing(
            exchange="" if row.subscriber else self._broker.exchange,
            routing_key=queue if row.subscriber else row.event.topic,
            body=envelope_of(row.event).encode(),
            message_id=f"{row.pk}",
            priority=row.priority,
            headers={"run": row.run, "attempt": row.attempt},
        )

    def _delete(self, rows: list[OutboxMessage], returned: set[str]) -> None:
        """Delete what arrived or has no one to go to; keep what should have found a queue."""
        gone = [row for row in rows if str(row.pk) not in returned]
        for row in rows:
            if str(row.pk) in returned:
                if row.subscriber or interested_in(row.event.topic):
                    log.error(
                        "no queue took an event that has subscribers", event_id=str(row.event_id), topic=row.event.topic
                    )
                else:
                    gone.append(row)
        OutboxMessage.objects.filter(pk__in=[row.pk for row in gone]).delete()
        if len(gone) < len(rows):
            self._publisher.close()  # the next batch declares all queues anew
