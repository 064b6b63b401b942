"""Sent: rows that the broker has for certain, until they are deleted."""

from __future__ import annotations

from collections.abc import Sequence

from ..logger import get_logger
from ..outbox.messages import OutboxRow
from ..outbox.models import OutboxMessage

log = get_logger("events.relay")


class SentRows:
    """Remembers what was confirmed, so that it is never published again: not while the database takes no writes, and
    not while another session holds the rows. It outlives couriers and terms of the relay; it ends with the process."""

    def __init__(self) -> None:
        self._rows: dict[int, OutboxRow] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def keys(self) -> list[int]:
        """The primary keys of rows that were sent, but are in the outbox."""
        return list(self._rows)

    def delete(self, rows: Sequence[OutboxRow]) -> int:
        """Delete rows that were confirmed now; returns the number that left the outbox. Raises what the database
        raises; then they are remembered."""
        if not rows:
            return 0
        self._rows |= {row.pk: row.without_data() for row in rows}
        locked = OutboxMessage.objects.remove(rows)
        for row in rows:
            if row.pk not in locked:
                del self._rows[row.pk]
        if locked:
            log.warning("published rows stay: another session holds them", rows=len(locked))
        return len(rows) - len(locked)

    def delete_remembered(self) -> int:
        """Delete what could not be deleted before; returns the number that left the outbox. Raises what the database
        raises."""
        if not self._rows:
            return 0
        before = len(self._rows)
        self._rows = OutboxMessage.objects.remove_unlocked(self._rows)
        if before > len(self._rows):
            log.info("published rows were deleted late", rows=before - len(self._rows))
        return before - len(self._rows)
