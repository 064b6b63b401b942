"""Report: how many rows of a dump were imported, and why the others were not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rich.table import Column, Table


@dataclass
class Tally:
    """Numbers of rows of one kind. read = imported + already + skipped. remarks: notes about imported rows."""

    read: int = 0
    imported: int = 0
    already: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)


class Report(dict[str, Tally]):
    """A tally for each kind of rows, in the order of the import."""

    def __missing__(self, kind: str) -> Tally:
        self[kind] = Tally()
        return self[kind]

    def table(self) -> Table:
        """The report as a table for the terminal."""
        numeric = [Column(name, justify="right") for name in ("read", "imported", "already there", "skipped")]
        table = Table("", *numeric, "why; remarks")
        for kind, tally in self.items():
            numbers = (tally.read, tally.imported, tally.already, tally.skipped.total())
            notes = [f"{number:,} {why}" for why, number in (tally.skipped + tally.remarks).most_common()]
            table.add_row(kind, *(f"{number:,}" for number in numbers), "\n".join(notes))
        return table
