"""Sent: rows that the broker has for certain, until they are deleted."""

from __future__ import annotations

from collections.abc import Sequence

from ..logger import get_logger
from ..outbox.messages import OutboxRow
from ..outbox.models import OutboxMessage

log = get_logger("events.relay")


class SentRows:
    """Remembers what was confirmed, so that it is never published again: not while the database takes no writes, and
    not while another session holds the rows. It outlives couriers and terms of the relay; it ends with the process. Two
    couriers may use it at once."""

    def __init__(self) -> None:
        self._rows: dict[int, OutboxRow] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self) -> list[OutboxRow]:
        """Rows that were sent, but are in the outbox."""
        return list(self._rows.values())

    def delete(self, rows: Sequence[OutboxRow]) -> int:
        """Delete rows that were confirmed now; returns the number that left the outbox. Raises what the database
        raises; then they are remembered."""
        if not rows:
            return 0
        self._rows |= {row.pk: row for row in rows}
        try:
            locked = OutboxMessage.objects.remove(rows)
        except BaseException:
            self._rows |= {row.pk: row.without_data() for row in rows}
            raise
        for row in rows:
            if row.pk in locked:
                self._rows[row.pk] = row.without_data()
            else:
                self._rows.pop(row.pk, None)
        if locked:
            log.warning("published rows stay: another session holds them", rows=len(locked))
        return len(rows) - len(locked)

    def delete_remembered(self) -> int:
        """Delete what could not be deleted before; returns the number that left the outbox. Raises what the database
        raises."""
        if not self._rows:
            return 0
        remembered = dict(self._rows)
        gone = remembered.keys() - OutboxMessage.objects.remove_unlocked(remembered).keys()
        for key in gone:
            self._rows.pop(key, None)
        if gone:
            log.info("published rows were deleted late", rows=len(gone))
        return len(gone)
