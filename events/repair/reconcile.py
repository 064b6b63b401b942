"""Reconcile: delivers again what is missing, or so late that it may be lost.

An event that a subscriber should have had is missing if all of this holds:

1. it has no final outcome there (inbox), and no row in the outbox;
2. its turn has passed for a minute (PATIENCE): a later event of the same priority was done by that subscriber, or
   the subscriber's queue is empty.

Then it is written to the outbox again ("healed"). A broker does not tell what a worker holds without an outcome, so
what is healed may be merely late: the log says "missing or late", and the inbox turns both into one effect.
`missing.py` checks one subscriber; this file makes one pass over all of them.
"""

from __future__ import annotations

import datetime as dt

from django.db import connections, router, transaction

from ..brokers.contract import EventBroker
from ..db.dialect import database_now
from ..figures import Counter
from ..inbox.models import Delivery
from ..logger import get_logger
from ..outbox.models import OutboxMessage
from ..subscription import subscriptions
from .missing import Healed, SubscriberCheck
from .models import Subscription
from .stable_offset import StableOffset

log = get_logger("events.reconcile")

HEALED = Counter(
    "airy_reconcile_healed_total",
    "Deliveries that were owed again because they were missing or late",
    labels=["subscriber"],
    known=lambda: [(name,) for name in subscriptions],
)

#: Since when its turn must have passed before a delivery counts as lost.
PATIENCE = dt.timedelta(minutes=1)
#: With more than 10,000 new rows in the outbox it is the relay that is late: no pass is made.
MAX_NEW_ROWS = 10_000


class Reconciler:
    """Makes one pass after another. Between passes it remembers which queues were idle, and the stable offset."""

    def __init__(self, broker: EventBroker, *, patience: dt.timedelta = PATIENCE) -> None:
        self._broker = broker
        self._patience = patience
        self._stable_offset = StableOffset()
        #: For each queue that is idle now: when passes found it idle, without a break.
        self._idle: dict[str, list[dt.datetime]] = {}

    def run_pass(self) -> list[Healed]:
        """One pass over all subscribers of this code. What it reads, writes and heals is bounded.

        Raises whatever the database raises, and ConnectionError when the broker does not answer.
        """
        healed = self._run_pass()
        for one in healed:
            HEALED.labels(one.subscriber).inc(one.count)
            log.warning(
                "healed what was missing or late",
                subscriber=one.subscriber,
                events=one.count,
                first=str(one.first),
                last=str(one.last),
            )
        return healed

    def would_heal(self) -> list[Healed]:
        """What a pass would heal if nothing changed until then. Deliveries that run at this moment are counted, too."""
        with transaction.atomic(using=router.db_for_write(Delivery)):
            healed = self._run_pass(patience=dt.timedelta(0))
            transaction.set_rollback(True, using=router.db_for_write(Delivery))
        return healed

    def _run_pass(self, *, patience: dt.timedelta | None = None) -> list[Healed]:
        if OutboxMessage.objects.new()[MAX_NEW_ROWS : MAX_NEW_ROWS + 1]:
            return []
        stable_offset = self._stable_offset.advance()
        now = database_now(connections[router.db_for_write(Delivery)])
        rows = list(Subscription.objects.filter(name__in=list(subscriptions)).order_by("name"))
        self._note_idle({subscriptions[row.name].queue for row in rows}, now)
        patience = self._patience if patience is None else patience
        return [one for row in rows if (one := self._check(row, stable_offset, now, patience))]

    def _note_idle(self, queues: set[str], now: dt.datetime) -> None:
        """Note which queues are idle. Older notes than the newest one before `patience` are not needed."""
        before = now - self._patience
        idle: dict[str, list[dt.datetime]] = {}
        for queue in self._broker.idle(queues):
            times = [*self._idle.get(queue, ()), now]
            old = sum(time <= before for time in times)
            idle[queue] = times[max(0, old - 1) :]
        self._idle = idle

    def _check(self, row: Subscription, stable_offset: int, now: dt.datetime, patience: dt.timedelta) -> Healed | None:
        check = SubscriberCheck(
            row,
            stable_offset=stable_offset,
            now=now,
            patience=patience,
            idle=self._idle.get(subscriptions[row.name].queue, ()),
        )
        check.fill_watchlist()
        return check.heal_lost()
