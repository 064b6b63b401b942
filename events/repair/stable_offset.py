"""Horizon: up to where the log is settled, so that nothing will be committed there any more."""

from __future__ import annotations

from django.db import connections, router

from ..models import StoredEvent

#: Transactions of others that write to the log now. Each took this lock before its events were numbered.
WRITERS = """
    SELECT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND relation = 'events_storedevent'::regclass
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND mode = 'RowExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()
"""


class Horizon:
    """Looks at the log from time to time and knows up to which number every event is visible.

    Numbers are given out in order but committed in any: a lower one may come later. On PostgreSQL, who wrote to the
    log when its end was noted must have finished before all up to there is settled; no matter how many wrote since.
    SQLite has one writer at a time, so there the end of the log is it.
    """

    def __init__(self) -> None:
        self._settled = 0
        self._noted: tuple[int, set[str]] | None = None

    def look(self) -> int:
        """The highest number up to which the log is settled, as far as is known yet."""
        connection = connections[router.db_for_read(StoredEvent)]
        if connection.vendor != "postgresql":
            return StoredEvent.objects.newest()
        if self._noted:
            self._settle(self._noted[0], self._noted[1] & self._writers())
        if not self._noted:
            newest = StoredEvent.objects.newest()  # first its end, then who writes
            self._settle(newest, self._writers())
        return self._settled

    def _settle(self, newest: int, writing: set[str]) -> None:
        if writing:
            self._noted = (newest, writing)
        else:
            self._noted, self._settled = None, newest

    def _writers(self) -> set[str]:
        with connections[router.db_for_read(StoredEvent)].cursor() as cursor:
            cursor.execute(WRITERS)
            return {transaction for (transaction,) in cursor.fetchall()}
