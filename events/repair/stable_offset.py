"""Stable offset: the sequence number up to which no further event can be committed to the log."""

from __future__ import annotations

from django.db import connections, router

from ..db.names import table
from ..outbox.models import StoredEvent
from ..outbox.writers import open_writers


class StableOffset:
    """Finds the stable offset step by step, with each call of `advance`.

    Numbers are given out in order but committed in any order: a lower one may become visible later. On PostgreSQL:

    1. Note the end of the log, then the transactions that write to it now.
    2. Once all of these have finished, everything up to the noted end is visible. Later writers do not matter.

    SQLite has one writer at a time, so its stable offset is the end of the log.
    """

    def __init__(self) -> None:
        self._offset = 0
        #: (end of the log, transactions that wrote then and have not finished).
        self._noted: tuple[int, set[str]] | None = None

    def advance(self) -> int:
        """The stable offset, as far as it is known yet."""
        connection = connections[router.db_for_write(StoredEvent)]
        if connection.vendor != "postgresql":
            return StoredEvent.objects.newest()
        if self._noted:
            self._note(self._noted[0], self._noted[1] & self._writers())
        if not self._noted:
            newest = StoredEvent.objects.newest()  # first the end, then the writers
            self._note(newest, self._writers())
        return self._offset

    def _note(self, newest: int, writers: set[str]) -> None:
        if writers:
            self._noted = (newest, writers)
        else:
            self._noted, self._offset = None, newest

    def _writers(self) -> set[str]:
        return open_writers(connections[router.db_for_write(StoredEvent)], table(StoredEvent))
