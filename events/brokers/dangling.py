"""Dangling: rows of the outbox whose event is not in the log, as a restored table or a loaded fixture leaves them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from django.db import router

from ..db.commit import committed
from ..inbox.retry import bury
from ..outbox.models import OutboxMessage

#: Seconds that such a row waits before it is looked at again, and then buried: a restore may bring the event meanwhile.
GRACE = 10.0
#: A search through the whole outbox is made every so many seconds: at least, and as a multiple of the time it takes.
SEARCH, SEARCH_COSTS = 10.0, 300


class DanglingRows:
    """Finds out which rows have been without an event for long, and buries them."""

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}
        self._search_at = 0.0

    def search(self, limit: int) -> int:
        """Search the outbox for such rows, now and then; returns the number buried. For a courier whose questions do
        not come across them."""
        now = time.monotonic()
        if now < self._search_at:
            return 0
        found = OutboxMessage.objects.dangling().filter(claimed=False).order_by("pk")
        keys = list(found.values_list("pk", flat=True)[:limit])
        self._search_at = now + max(SEARCH, SEARCH_COSTS * (time.monotonic() - now))
        return self.sort_out(keys)

    def sort_out(self, keys: Sequence[int]) -> int:
        """Bury rows without an event that were seen so before; the others wait a while. Returns the number buried.

        A row for one subscriber becomes a dead letter; a row for every subscriber is deleted, with an error in the log.
        """
        if not keys:
            return 0
        now = time.monotonic()
        self._seen = {key: at for key, at in self._seen.items() if now - at < 100 * GRACE}
        known = [key for key in keys if now - self._seen.setdefault(key, now) >= GRACE / 2]
        if len(known) < len(keys):
            OutboxMessage.objects.postpone(GRACE, keys=[key for key in keys if key not in set(known)])
        with committed(using=router.db_for_write(OutboxMessage)):
            rows = list(OutboxMessage.objects.filter(pk__in=known).dangling().select_for_update())
            bury(rows)
        for key in known:
            self._seen.pop(key, None)
        return len(rows)
