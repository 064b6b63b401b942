"""The embedded courier: outbox rows → mailboxes of this process, marked as claimed until their outcome."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import router, transaction

from ..inbox.message import Arrival
from ..inbox.retry import UNKNOWN, bury
from ..models import OutboxMessage
from ..outbox.messages import Owed
from ..subscription import interested_in, subscriptions
from .embedded import CAPACITY, EmbeddedBroker

ROWS_PER_PASS = 500
#: Rows whose time has come that go along while fresh ones wait, too.
RIPE_SHARE = 100


class EmbeddedCourier:
    """Expands fresh rows to one per subscriber, hands those out, and deletes the ones that have their outcome."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self.until_due: float | None = None
        self.drained = False
        claims = set(OutboxMessage.objects.claims())
        # Claimed by a process that died meanwhile: each may be what killed it.
        self._redelivered = {pk for pk, attempt in claims - broker.held}
        for start in range(0, len(orphans := sorted(self._redelivered)), ROWS_PER_PASS):
            OutboxMessage.objects.filter(pk__in=orphans[start : start + ROWS_PER_PASS]).update(claimed=False, due=None)

    def carry(self) -> int:
        self.until_due = OutboxMessage.objects.until_due()
        ripe = self.until_due is not None and self.until_due <= 0
        fresh = OutboxMessage.objects.fresh().exists()
        self.drained = not (ripe or fresh or self._broker.has_settled() or any(self._takers()))
        if self.drained:
            return 0
        with transaction.atomic(using=router.db_for_write(OutboxMessage)):
            moved = delete_settled(self._broker)
            if ripe:
                moved += self._ripen(RIPE_SHARE if fresh else ROWS_PER_PASS)
            moved += self._expand()
            handed: dict[str, list[Arrival]] = {}
            for subscriber, room, least in self._takers():
                if subscription := subscriptions.get(subscriber):
                    handed[subscription.queue] = self._claim(subscriber, room, least)
                else:
                    moved += self._bury(subscriber)
        for queue, arrivals in handed.items():
            self._broker.mailboxes[queue].put(arrivals)
            # Not before it is certain that they are claimed: what only seems to be here is handed to nobody.
            self._broker.held |= {arrival.tag for arrival in arrivals}
            moved += len(arrivals)
        return moved

    def keep_alive(self) -> None:
        """Nothing to keep alive."""

    def close(self) -> None:
        """Nothing to let go of: the workers go on with what was handed out."""

    def _ripen(self, most: int) -> int:
        ripe = list(OutboxMessage.objects.ripe().values_list("pk", flat=True)[:most])
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

    def _takers(self) -> Iterator[tuple[str, int, int]]:
        """Whom rows are owed to that could take some now, how many, and of which priority at least; one that nobody has
        takes them to its grave.

        What waits in a mailbox leaves room for what is more urgent.
        """
        for name in OutboxMessage.objects.creditors():
            room, least = ROWS_PER_PASS, 0
            if subscription := subscriptions.get(name):
                mailbox = self._broker.mailboxes[subscription.queue]
                if (room := CAPACITY - mailbox.waiting()) <= 0:
                    least = OutboxMessage.objects.owed_to(name).values_list("priority", flat=True).first() or 0
                    room = CAPACITY - mailbox.waiting(priority=least)
            if room > 0:
                yield name, room, least

    def _claim(self, subscriber: str, room: int, least: int) -> list[Arrival]:
        owed = OutboxMessage.objects.owed_to(subscriber).filter(priority__gte=least)
        arrivals = [self._arrival(row) for row in owed[:room].owed()]
        OutboxMessage.objects.filter(pk__in=[arrival.tag[0] for arrival in arrivals]).update(claimed=True)
        return arrivals

    def _bury(self, subscriber: str) -> int:
        rows = OutboxMessage.objects.owed_to(subscriber)[:ROWS_PER_PASS].owed()
        bury(rows, reason=UNKNOWN)
        return len(rows)

    def _arrival(self, row: Owed) -> Arrival:
        redelivered = row.pk in self._redelivered
        self._redelivered.discard(row.pk)
        return Arrival(
            envelope=row.envelope,
            body=b"",
            run=row.run,
            attempt=row.attempt,
            priority=row.priority,
            redelivered=redelivered,
            tag=(row.pk, row.attempt),
        )


def put_down(broker: EmbeddedBroker) -> None:
    """Once no thread works any more: delete what has its outcome, and unclaim what nobody has begun, so that the next
    worker need not take it for what killed this one."""
    with transaction.atomic(using=router.db_for_write(OutboxMessage)):
        while delete_settled(broker):
            pass
        waiting = [arrival for box in broker.mailboxes.values() for arrival in box.empty()]
        broker.held.difference_update(arrival.tag for arrival in waiting)
        unbegun = [arrival.tag for arrival in waiting if not arrival.redelivered]
        for start in range(0, len(unbegun), ROWS_PER_PASS):
            rows = OutboxMessage.objects.filter(pk__in=[pk for pk, _ in unbegun[start : start + ROWS_PER_PASS]])
            rows.update(claimed=False)


def delete_settled(broker: EmbeddedBroker) -> int:
    """Delete rows that have their outcome, a bounded number; returns how many."""
    settled = set(broker.settled(ROWS_PER_PASS))
    if not settled:
        return 0
    broker.held -= settled
    rows = OutboxMessage.objects.filter(pk__in=[pk for pk, _ in settled], claimed=True)
    # A row that a failed delivery scheduled anew has another attempt: it stays.
    done = settled & set(rows.values_list("pk", "attempt"))
    OutboxMessage.objects.filter(pk__in=[pk for pk, _ in done], claimed=True).delete()
    return len(settled)
