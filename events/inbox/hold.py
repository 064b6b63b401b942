"""Hold: while the database is out, a message is held and costs no attempt.

A lost session, a restart, a fail-over to a server that is still read-only, a full disk: nothing was committed, and the
subscriber is not at fault. Giving the message back to the broker would send it round and round.
"""

from __future__ import annotations

import threading
import uuid

from django.db import Error, connections, router, transaction
from dramatiq.common import compute_backoff

from ..db.dialect import DeliveryKey
from ..db.discard import discard
from ..db.outages import is_outage
from ..errors import summary
from ..logger import get_logger
from ..subscription import Subscription
from .models import Delivery

log = get_logger("events.delivery")

#: Milliseconds before the database is tried again while it is out: the first pause, the longest pause.
OUT = (100, 15_000)
#: The same before a run is tried again while the database works for others.
WORKS = (50, 1_000)
#: Outages that one message may meet in a row while the database works for others. Then the subscriber is the cause, as
#: with a statement that ends its own session, and it has failed.
SUSPECT = 10


class GivenBackError(Exception):
    """The worker ends while the database is out: the message goes back to the broker, and costs no attempt."""


class Hold:
    """Holds one message, or a group, over outages.

    ending: set when the worker ends.
    """

    def __init__(self, subscription: Subscription, ending: threading.Event) -> None:
        self._subscription, self._ending = subscription, ending
        self._using = router.db_for_write(Delivery)
        self._met = 0

    def is_over(self, error: BaseException) -> bool:
        """Whether the error was an outage that is over now: run again, on a new session. False for any other error, and
        for one outage too many, which is the subscriber's own failure.

        Raises GivenBackError if the worker ends first.
        """
        # Within a transaction of the caller's, as in a TestCase, there is no other session to continue with.
        if not is_outage(error) or connections[self._using].in_atomic_block:
            return False
        discard(connections[self._using])
        self._met += 1
        if self._works():
            if self._met >= SUSPECT:
                return False
            self._pause(self._met, WORKS, error, are_others_served=True)
            return True
        self._met -= 1
        tries = 0
        while not self._works():
            tries += 1
            self._pause(tries, OUT, error, are_others_served=False)
        return True

    def _pause(self, tries: int, bounds: tuple[int, int], error: BaseException, *, are_others_served: bool) -> None:
        _, pause = compute_backoff(tries - 1, factor=bounds[0], max_backoff=bounds[1])
        log.warning(
            "held, its session was lost" if are_others_served else "held until the database is back",
            subscriber=self._subscription.name,
            error=summary(error),
            again_in=pause / 1000,
        )
        if self._ending.wait(pause / 1000) and not are_others_served:
            raise GivenBackError(f"{self._subscription.name}: {summary(error)}") from error

    def _works(self) -> bool:
        """Whether the inbox can be written on a new session: it writes a row, and rolls back."""
        key = DeliveryKey(uuid.uuid4(), self._subscription.name, 0)
        try:
            with transaction.atomic(using=self._using):
                Delivery.objects.record_done([key], attempts={key: 1})
                transaction.set_rollback(True, using=self._using)
        except Error as error:
            if is_outage(error):
                discard(connections[self._using])
                return False
        return True
