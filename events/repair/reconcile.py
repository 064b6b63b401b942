"""Reconcile: heals what a broker lost.

An event that a subscriber should have had, has no outcome there and is owed to nobody any more was lost, once its turn
has passed: a later event of the same priority was done a while ago, or nothing waits in the subscriber's queue. It
is owed again. If it was merely late after all, the inbox makes one effect of the two.
"""

from __future__ import annotations

import datetime as dt

import structlog
from django.db import connections, router, transaction

from ..brokers.contract import EventBroker
from ..db.dialect import database_now
from ..models import Delivery, OutboxMessage, Subscription
from ..subscription import subscriptions
from .missing import Healed, Pass
from .stable_offset import Horizon

log = structlog.get_logger("events.reconcile")

#: How long a delivery's turn must have passed before it counts as lost.
PATIENCE = dt.timedelta(minutes=1)
#: With so many events still to be published it is the relay that is late.
FRESH = 10_000


class Reconciler:
    """Looks now and then; remembers between its looks which queues were idle and how far the log is settled."""

    def __init__(self, broker: EventBroker, *, patience: dt.timedelta = PATIENCE) -> None:
        self._broker = broker
        self._patience = patience
        self._horizon = Horizon()
        self._idle: dict[str, list[dt.datetime]] = {}

    def look(self) -> list[Healed]:
        """One pass over all subscribers of this code, bounded in what it reads, writes and heals.

        Raises whatever the database raises, and ConnectionError when the broker does not answer.
        """
        healed = self._look()
        for one in healed:
            log.warning(
                "healed what the broker lost",
                subscriber=one.subscriber,
                events=one.count,
                first=str(one.first),
                last=str(one.last),
            )
        return healed

    def would_heal(self) -> list[Healed]:
        """What a pass would heal if nothing changed until then; what runs at this moment is counted, too."""
        with transaction.atomic(using=router.db_for_write(Delivery)):
            healed = self._look(patience=dt.timedelta(0))
            transaction.set_rollback(True, using=router.db_for_write(Delivery))
        return healed

    def _look(self, *, patience: dt.timedelta | None = None) -> list[Healed]:
        if OutboxMessage.objects.fresh()[FRESH : FRESH + 1]:
            return []
        settled = self._horizon.look()
        now = database_now(connections[router.db_for_write(Delivery)])
        rows = list(Subscription.objects.filter(name__in=list(subscriptions)).order_by("name"))
        self._note_idle({subscriptions[row.name].queue for row in rows}, now)
        patience = self._patience if patience is None else patience
        return [one for row in rows if (one := self._look_at(row, settled, now, patience))]

    def _note_idle(self, queues: set[str], now: dt.datetime) -> None:
        """Keep, for each queue that is idle, the looks that found it so without a break, back to a patience ago."""
        before = now - self._patience
        idle: dict[str, list[dt.datetime]] = {}
        for queue in self._broker.idle(queues):
            looks = [*self._idle.get(queue, ()), now]
            old = sum(look <= before for look in looks)
            idle[queue] = looks[max(0, old - 1) :]
        self._idle = idle

    def _look_at(self, row: Subscription, settled: int, now: dt.datetime, patience: dt.timedelta) -> Healed | None:
        pass_ = Pass(
            row,
            settled=settled,
            now=now,
            patience=patience,
            idle=self._idle.get(subscriptions[row.name].queue, ()),
        )
        pass_.account()
        return pass_.check()
