"""Dangling: rows of the outbox whose event is not in the log, as a restored table or a loaded fixture leaves them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from django.db import router

from ..db.commit import committed
from ..inbox.retry import bury
from ..outbox.models import OutboxMessage

#: Seconds that such a row must have been seen before it is buried: a restore may bring the event a moment later.
GRACE = 10.0


class DanglingRows:
    """Finds out which rows have been without an event for long, and buries them."""

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}

    def sort_out(self, keys: Sequence[int]) -> int:
        """Bury rows without an event that were seen so before; the others wait a while. Returns the number buried.

        A row for one subscriber becomes a dead letter; a row for every subscriber is deleted, with an error in the log.
        """
        if not keys:
            return 0
        now = time.monotonic()
        fresh = [key for key in keys if now - self._seen.setdefault(key, now) < GRACE]
        if fresh:
            OutboxMessage.objects.postpone(GRACE, keys=fresh)
        known = set(keys) - set(fresh)
        with committed(using=router.db_for_write(OutboxMessage)):
            rows = list(OutboxMessage.objects.filter(pk__in=known).dangling().select_for_update())
            bury(rows)
        for key in known:
            del self._seen[key]
        return len(rows)
