"""Step: import the rows of one kind, each once, a chunk per transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, ClassVar, Generic, TypeVar

from django.db import models, reset_queries
from django.db.models import F

from events.db import NotCommittedError, committed, is_outage
from feeds.models import ImportedRow
from feeds.signals import emit_for_new_rows
from feeds.stackexchange.fields import SkippedRowError
from feeds.stackexchange.report import Report, Tally

#: Rows per transaction.
ROWS_PER_TRANSACTION = 500
#: What is wrong with the machine and not with a row. An import that meets it ends, and goes on when it is run again.
MACHINE = (MemoryError, OSError, NotCommittedError)

R = TypeVar("R")


class Step(ABC, Generic[R]):
    """One kind of rows. The rows of a chunk, their events and their ImportedRow are committed together."""

    #: ImportedRow.kind of these rows.
    kind: ClassVar[str]
    #: Their name in the report.
    label: ClassVar[str]

    def __init__(self, source: str, report: Report) -> None:
        self.source = source
        self.tally: Tally = report[self.label]

    @abstractmethod
    def rows(self) -> Iterable[R]:
        """All rows, read one by one."""

    @abstractmethod
    def key(self, row: R) -> str:
        """The id of a row in the source. Raises SkippedRowError."""

    @abstractmethod
    def look_up(self, rows: dict[str, R]) -> None:
        """Fetch the data that `build` needs for these rows, by key, with one query per table."""

    @abstractmethod
    def build(self, row: R) -> models.Model:
        """The row to insert. One with a primary key exists already; only its ImportedRow is written.

        Raises SkippedRowError.
        """

    def name(self, row: R) -> str:
        """How the report names a row."""
        return str(row)

    def run(self) -> None:
        """Import the rows that were not imported yet. Whatever is wrong with a row, only that row is skipped."""
        rows = iter(self.rows())
        while chunk := list(islice(rows, ROWS_PER_TRANSACTION)):
            try:
                self._commit(chunk)
            except Exception as error:
                if _is_of_the_machine(error):
                    raise
                self._one_by_one(chunk)
            reset_queries()  # with DEBUG=on Django keeps thousands of statements, which are large here

    def _one_by_one(self, chunk: list[R]) -> None:
        """Import a chunk that failed, so that only the rows are skipped that fail alone, too."""
        for row in chunk:
            try:
                self._commit([row])
            except Exception as error:
                if _is_of_the_machine(error):
                    raise
                self.tally.read += 1
                self.tally.skip(_reason(error), row=self.name(row))

    def _commit(self, chunk: list[R]) -> None:
        with self.tally.unless_failed(), committed():
            self._load(chunk)

    def known(self, kind: str, external_ids: Iterable[str]) -> dict[str, int]:
        """Our ids of the rows of the source that were imported, by their ids in the source."""
        return ImportedRow.objects.objects_of(self.source, kind, external_ids)

    def _load(self, chunk: list[R]) -> None:
        self.tally.read += len(chunk)
        rows = self._by_key(chunk)
        known = self.known(self.kind, rows)
        self.tally.already += len(known)
        rows = {key: row for key, row in rows.items() if key not in known}
        if rows:
            self.look_up(rows)
            self._write(dict(self._built(rows)))

    def _by_key(self, chunk: list[R]) -> dict[str, R]:
        rows: dict[str, R] = {}
        for row in chunk:
            try:
                key = self.key(row)
                if len(key) > ImportedRow.EXTERNAL_ID_LENGTH:
                    raise SkippedRowError("the Id is too long")
            except SkippedRowError as skip:
                self.tally.skip(skip.reason, row=self.name(row))
                continue
            if key in rows:
                self.tally.already += 1
            rows.setdefault(key, row)
        return rows

    def _built(self, rows: dict[str, R]) -> Iterator[tuple[str, models.Model]]:
        for key, row in rows.items():
            try:
                yield key, self.build(row)
            except SkippedRowError as skip:
                self.tally.skip(skip.reason, row=self.name(row))

    def _write(self, built: dict[str, models.Model]) -> None:
        new = [row for row in built.values() if row.pk is None]
        if new:
            _create(new)
        ImportedRow.objects.bulk_create(
            ImportedRow(source=self.source, kind=self.kind, external_id=key, object_id=row.pk)
            for key, row in built.items()
        )
        emit_for_new_rows(new)
        self.tally.imported += len(new)
        self.tally.already += len(built) - len(new)


def _is_of_the_machine(error: Exception) -> bool:
    return isinstance(error, MACHINE) or is_outage(error)


def _reason(error: Exception) -> str:
    """Why a row cannot be imported, in one line."""
    said = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {said}"[:100]


def _create(rows: list[Any]) -> None:
    """Insert rows of one model. Inserting sets `updated_at` to now, so it is set again afterwards."""
    manager = type(rows[0])._default_manager
    updated = [getattr(row, "updated_at", None) for row in rows]
    manager.bulk_create(rows)
    if updated[0] is None:
        return
    manager.filter(pk__in=[row.pk for row in rows]).update(updated_at=F("created_at"))
    edited = []
    for row, moment in zip(rows, updated, strict=True):
        row.updated_at = moment
        if moment != row.created_at:
            edited.append(row)
    manager.bulk_update(edited, ["updated_at"])
