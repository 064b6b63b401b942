"""Report: how many rows of a dump were imported, and why the others were not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field

from rich.markup import escape
from rich.table import Column, Table

#: Rows that are named for each reason.
NAMED_ROWS = 5
#: The name of a row, which a dump may make as long as it likes, is cut to this number of characters.
NAME_LENGTH = 40


@dataclass
class Tally:
    """Numbers of rows of one kind. read = imported + already + skipped. remarks: notes about imported rows.

    named: the ids of the first rows of each reason and remark.
    """

    read: int = 0
    imported: int = 0
    already: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)
    named: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def skip(self, reason: str, *, row: str) -> None:
        """Count a row that is not imported. row: its id, or where it stands."""
        self.skipped[reason] += 1
        self._name(reason, row)

    def remark(self, about: str, *, row: str) -> None:
        """Count a row that is imported, but not as it is in the dump."""
        self.remarks[about] += 1
        self._name(about, row)

    @contextmanager
    def unless_failed(self) -> Iterator[None]:
        """Forget what was counted in the block if it raises: its rows are rolled back."""
        before = deepcopy(self.__dict__)
        try:
            yield
        except BaseException:
            self.__dict__.update(before)
            raise

    def notes(self) -> Iterator[str]:
        """A line for each reason and remark: how many rows, and which are the first."""
        for why, number in (self.skipped + self.remarks).most_common():
            rows = ", ".join(self.named[why])
            more = ", …" if number > len(self.named[why]) else ""
            yield f"{number:,} {why}" + (f" ({rows}{more})" if rows else "")

    def _name(self, why: str, row: str) -> None:
        if len(self.named[why]) < NAMED_ROWS:
            self.named[why].append(row if len(row) <= NAME_LENGTH else f"{row[: NAME_LENGTH - 1]}…")


class Report(dict[str, Tally]):
    """A tally for each kind of rows, in the order of the import."""

    def __missing__(self, kind: str) -> Tally:
        self[kind] = Tally()
        return self[kind]

    def table(self) -> Table:
        """The report as a table for the terminal."""
        numeric = [Column(name, justify="right") for name in ("read", "imported", "already there", "skipped")]
        table = Table("", *numeric, "why (the ids of the first rows); remarks")
        for kind, tally in self.items():
            numbers = (tally.read, tally.imported, tally.already, tally.skipped.total())
            table.add_row(kind, *(f"{number:,}" for number in numbers), escape("\n".join(tally.notes())))
        return table
