"""The embedded courier: outbox rows → mailboxes of this process, marked as claimed until their outcome."""

from __future__ import annotations

from django.db import router, transaction

from events.arrival import Arrival
from events.brokers.embedded import CAPACITY, EmbeddedBroker
from events.models import OutboxMessage
from events.recording import UNKNOWN, bury
from events.subscription import interested_in, subscriptions

ROWS_PER_PASS = 500


class EmbeddedCourier:
    """Expands fresh rows to one per subscriber, hands those out, and deletes the ones that have their outcome."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        claims = set(OutboxMessage.objects.filter(claimed=True).values_list("pk", "attempt"))
        # Claimed by a process that died meanwhile: each may be what killed it.
        self._redelivered = {pk for pk, attempt in claims - broker.held}
        for start in range(0, len(orphans := sorted(self._redelivered)), ROWS_PER_PASS):
            OutboxMessage.objects.filter(pk__in=orphans[start : start + ROWS_PER_PASS]).update(claimed=False, due=None)

    def carry(self) -> int:
        if not self._broker.has_settled() and not OutboxMessage.objects.movable().exists():
            return 0
        with transaction.atomic(using=router.db_for_write(OutboxMessage)):
            settled = self._delete_settled()
            ripened = self._ripen()
            expanded = self._expand()
            handed = self._claim()
        for queue, arrivals in handed.items():
            self._broker.mailboxes[queue].put(arrivals)
        return settled + ripened + expanded + sum(map(len, handed.values()))

    def keep_alive(self) -> None:
        """Nothing to keep alive."""

    def close(self) -> None:
        """Nothing to let go of: claimed rows are handed out again by the next relay."""

    def _delete_settled(self) -> int:
        settled = set(self._broker.settled(ROWS_PER_PASS))
        if not settled:
            return 0
        self._broker.held -= settled
        rows = OutboxMessage.objects.filter(pk__in=[pk for pk, _ in settled], claimed=True)
        # A row that a failed delivery scheduled anew has another attempt: it stays.
        done = settled & set(rows.values_list("pk", "attempt"))
        OutboxMessage.objects.filter(pk__in=[pk for pk, _ in done]).delete()
        return len(settled)

    def _ripen(self) -> int:
        ripe = list(OutboxMessage.objects.ripe().values_list("pk", flat=True)[:ROWS_PER_PASS])
        return OutboxMessage.objects.filter(pk__in=ripe).update(due=None) if ripe else 0

    def _expand(self) -> int:
        fresh = list(
            OutboxMessage.objects.fresh().values_list("pk", "event__event_id", "event__topic", "priority")[
                :ROWS_PER_PASS
            ]
        )
        if not fresh:
            return 0
        OutboxMessage.objects.bulk_create(
            [
                OutboxMessage(event_id=event_id, subscriber=subscription.name, priority=priority)
                for _, event_id, topic, priority in fresh
                for subscription in interested_in(topic)
            ],
            ignore_conflicts=True,
        )
        OutboxMessage.objects.filter(pk__in=[row[0] for row in fresh]).delete()
        return len(fresh)

    def _claim(self) -> dict[str, list[Arrival]]:
        handed: dict[str, list[Arrival]] = {}
        for name in OutboxMessage.objects.creditors():
            subscription = subscriptions.get(name)
            if subscription is None:
                bury(OutboxMessage.objects.owed_to(name).with_events(), reason=UNKNOWN)
                continue
            room = CAPACITY - len(self._broker.mailboxes[subscription.queue])
            if room > 0:
                rows = OutboxMessage.objects.owed_to(name)[:room].with_events()
                handed[subscription.queue] = [self._arrival(row) for row in rows]
        claims = {arrival.tag for arrivals in handed.values() for arrival in arrivals}
        if claims:
            OutboxMessage.objects.filter(pk__in=[pk for pk, _ in claims]).update(claimed=True)
            self._broker.held |= claims
        return handed

    def _arrival(self, row: OutboxMessage) -> Arrival:
        redelivered = row.pk in self._redelivered
        self._redelivered.discard(row.pk)
        return Arrival(
            envelope=row.event.envelope(),
            body=b"",
            run=row.run,
            attempt=row.attempt,
            priority=row.priority,
            redelivered=redelivered,
            tag=(row.pk, row.attempt),
        )
