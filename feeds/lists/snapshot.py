"""Snapshot: what a reader saw when reading began, so that the pages that follow show the order of then.

A list is read on from what has not changed since, as it is now, and from what has, as it was before its first change
since. On PostgreSQL a change is since then if its transaction was not done; what the reader's own transaction had
written is not.
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

#: So long one reads on by it; earlier counts are kept for a little longer.
LASTS = dt.timedelta(days=1)
#: More transactions than these are not named, so that no statement takes more numbers than a database lets it.
NAMED = 1_000
NUMBER = r"\d{1,18}"
WRITTEN = re.compile(
    f"(?P<moment>{NUMBER}):(?P<seen>{NUMBER})"
    f"(?::(?P<oldest>{NUMBER}):(?P<next>{NUMBER}):(?P<running>(?:{NUMBER}(?:,{NUMBER}){{0,{NAMED - 1}}})?))?",
    re.ASCII,
)


SEEN = "(SELECT coalesce(max(id), 0) FROM feeds_earliercounts)"


class Sight(Func):
    """What the statement sees of the earlier counts: annotated, it is what `Snapshot.begun` takes."""

    template = f"CAST({SEEN} AS text)"
    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        own = "coalesce(pg_current_xact_id_if_assigned()::text, '')"
        return self.as_sql(compiler, connection, template=f"concat_ws(':', {SEEN}, pg_current_snapshot()::text, {own})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """When reading began, and up to which change.

    seen: the number of the last change seen. oldest, next, running: of PostgreSQL's transactions, the oldest that was
    not done, the first that had not begun, and those between that were not done.
    """

    moment: dt.datetime
    seen: int
    oldest: int = 0
    next: int | None = None
    running: tuple[int, ...] = ()

    @classmethod
    def begun(cls, moment: dt.datetime, sight: str) -> Snapshot:
        """From what the first statement saw."""
        seen, *transactions = sight.split(":")
        if not transactions:
            return cls(moment=moment, seen=int(seen))
        oldest, following, between, own = transactions
        running, after = _numbers(between), int(following)
        if own and int(own) >= after:
            running, after = (*running, *range(after, int(own))), int(own) + 1
        if len(running) > NAMED:
            running, after = running[:NAMED], running[NAMED]
        return cls(moment=moment, seen=int(seen), oldest=int(oldest), next=after, running=running)

    @classmethod
    def read(cls, text: str) -> Snapshot:
        """From a cursor. Raises BadCursorError."""
        if (found := WRITTEN.fullmatch(text)) is None:
            raise BadCursorError
        begun = cls(moment=moment_of(int(found["moment"])), seen=int(found["seen"]))
        if found["oldest"] is None:
            return begun
        return cls(
            moment=begun.moment,
            seen=begun.seen,
            oldest=int(found["oldest"]),
            next=int(found["next"]),
            running=_numbers(found["running"]),
        )

    def __str__(self) -> str:
        """As it is written into a cursor."""
        parts = [str(microseconds_of(self.moment)), str(self.seen)]
        if self.next is not None:
            parts += [str(self.oldest), str(self.next), ",".join(map(str, self.running))]
        return ":".join(parts)

    @property
    def lasts(self) -> bool:
        """Whether all changes since are still known."""
        return self.moment >= timezone.now() - LASTS

    def changes(self, entity_type: str) -> QuerySet[EarlierCounts]:
        """The counts before each change since; none when it is too long ago."""
        if not self.lasts:
            return EarlierCounts.objects.none()
        since = Q(pk__gt=self.seen)
        if self.next is not None:
            unfinished = Q(transaction__gte=self.next) | Q(transaction__in=self.running)
            # What is no younger than the oldest is a range of an index.
            since = Q(transaction__gte=self.oldest) & (since | unfinished)
        return EarlierCounts.objects.filter(since, entity_type=entity_type)

    def changed(self, entity_type: str) -> QuerySet[EarlierCounts]:
        """The counts of all that have changed since, as they were."""
        changes = self.changes(entity_type)
        sooner = changes.filter(entity_id=OuterRef("entity_id"), pk__lt=OuterRef("pk"))
        return changes.filter(~Exists(sooner))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)
