"""Snapshot: which changes of counts a reader had seen when reading began, so that the next pages keep that order.

Each change of votes leaves a row in the count history (EarlierCounts) with the ranks before it. Later pages combine
(1) entities unchanged since the first page, with their current ranks, and (2) entities that changed, with the ranks
they had before their first change.

Example. Ranks: A 9, B 8, C 7, D 6. The first page, of two, shows A and B; its cursor holds the snapshot "history up to
row 40". Now D gets four votes: row 41 of the history says "D was 6", and D is at 10. The next page is "below 8":
    unchanged, current rank below 8:       C 7
    changed, rank before row 41 below 8:   D 6
It shows C and D, although D is at 10 by now and would be above B: no post is skipped and none comes twice.

On PostgreSQL "changed since" means: by a transaction that had not committed when the first page was read. The number
of a row alone does not say that: a slow transaction takes number 39, commits after number 40 was seen, and has changed
something that the reader had not seen. So a snapshot also holds the transactions in progress, as pg_current_snapshot()
gives them. The reader's own transaction is never among them: the reader saw what it wrote. SQLite has one writer, so
the number is enough.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, Func, OuterRef, Q, QuerySet, TextField
from django.utils import timezone

from feeds.lists.pagination import BadCursorError, microseconds_of, moment_of
from feeds.models import EarlierCounts

#: Time for which a cursor keeps the order. The count history is kept for a little longer.
VALID_FOR = dt.timedelta(days=1)
#: The most transactions in progress that a snapshot names, since a statement takes a limited number of parameters.
#: Those after them count as not committed.
MAX_IN_PROGRESS = 1_000
NUMBER_PATTERN = r"\d{1,18}"
#: A snapshot in a cursor: moment:last_row or, on PostgreSQL, moment:last_row:xmin:xmax:in_progress.
CURSOR_PATTERN = re.compile(
    f"(?P<moment>{NUMBER_PATTERN}):(?P<last_row>{NUMBER_PATTERN})"
    f"(?::(?P<xmin>{NUMBER_PATTERN}):(?P<xmax>{NUMBER_PATTERN}):"
    f"(?P<in_progress>(?:{NUMBER_PATTERN}(?:,{NUMBER_PATTERN}){{0,{MAX_IN_PROGRESS - 1}}})?))?",
    re.ASCII,
)

LAST_ROW = f"(SELECT coalesce(max(id), 0) FROM {EarlierCounts._meta.db_table})"


class CurrentSnapshot(Func):
    """What the statement sees of the count history, as text for `Snapshot.taken`.

    SQLite: last_row. PostgreSQL: last_row:xmin:xmax:xip_list:own, the middle three as pg_current_snapshot() writes
    them, `own` the number of this transaction, empty if it has written nothing yet.
    """

    template = f"CAST({LAST_ROW} AS text)"
    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        own = "coalesce(pg_current_xact_id_if_assigned()::text, '')"
        template = f"concat_ws(':', {LAST_ROW}, pg_current_snapshot()::text, {own})"
        return self.as_sql(compiler, connection, template=template)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """When reading began, and which changes of counts had been committed then.

    last_row: the highest id in the count history. The rest is of PostgreSQL, in its own terms: xmin, the oldest
    transaction in progress; xmax, the first that had not begun; in_progress, those between them that were in progress.
    xmax is None on SQLite.
    """

    moment: dt.datetime
    last_row: int
    xmin: int = 0
    xmax: int | None = None
    in_progress: tuple[int, ...] = ()

    @classmethod
    def taken(cls, moment: dt.datetime, text: str) -> Snapshot:
        """From the text that CurrentSnapshot selected in the first statement."""
        last_row, *transactions = text.split(":")
        if not transactions:
            return cls(moment=moment, last_row=int(last_row))
        xmin, written_xmax, xip_list, own = transactions
        in_progress, xmax = _numbers(xip_list), int(written_xmax)
        # The reader's own transaction can get its number after the snapshot: then it is at or above xmax. What it wrote
        # was seen, so xmax moves past it, and those between, which had not begun, are named.
        if own and int(own) >= xmax:
            in_progress, xmax = (*in_progress, *range(xmax, int(own))), int(own) + 1
        if len(in_progress) > MAX_IN_PROGRESS:
            in_progress, xmax = in_progress[:MAX_IN_PROGRESS], in_progress[MAX_IN_PROGRESS]
        return cls(moment=moment, last_row=int(last_row), xmin=int(xmin), xmax=xmax, in_progress=in_progress)

    @classmethod
    def from_cursor(cls, text: str) -> Snapshot:
        """The inverse of `str(snapshot)`. Raises BadCursorError."""
        if (found := CURSOR_PATTERN.fullmatch(text)) is None:
            raise BadCursorError
        moment, last_row = moment_of(int(found["moment"])), int(found["last_row"])
        if found["xmin"] is None:
            return cls(moment=moment, last_row=last_row)
        return cls(
            moment=moment,
            last_row=last_row,
            xmin=int(found["xmin"]),
            xmax=int(found["xmax"]),
            in_progress=_numbers(found["in_progress"]),
        )

    def __str__(self) -> str:
        """As a cursor holds it (CURSOR_PATTERN)."""
        parts = [str(microseconds_of(self.moment)), str(self.last_row)]
        if self.xmax is not None:
            parts += [str(self.xmin), str(self.xmax), ",".join(map(str, self.in_progress))]
        return ":".join(parts)

    @property
    def is_valid(self) -> bool:
        """Whether the history of all changes since is still kept."""
        return self.moment >= timezone.now() - VALID_FOR

    def changes_since(self, entity_type: str) -> QuerySet[EarlierCounts]:
        """The rows of the count history that were not committed then; none for a snapshot that is no longer valid."""
        if not self.is_valid:
            return EarlierCounts.objects.none()
        since = Q(pk__gt=self.last_row)
        if self.xmax is not None:
            uncommitted = Q(transaction__gte=self.xmax) | Q(transaction__in=self.in_progress)
            # The first condition is a range of an index; without it the whole history would be searched.
            since = Q(transaction__gte=self.xmin) & (since | uncommitted)
        return EarlierCounts.objects.filter(since, entity_type=entity_type)

    def counts_then(self, entity_type: str) -> QuerySet[EarlierCounts]:
        """For each entity that has changed since, its votes and ranks before its first change."""
        changes = self.changes_since(entity_type)
        earlier_change = changes.filter(entity_id=OuterRef("entity_id"), pk__lt=OuterRef("pk"))
        return changes.filter(~Exists(earlier_change))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)
