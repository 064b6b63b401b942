"""Report: what each kind of fault met and what it cost, as a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.audit import Findings
from tests.chaos.repair import repaired_by_itself
from tests.chaos.system import System

COUNTS = """
    SELECT (SELECT coalesce(max(sequence), 0) FROM events_storedevent), (SELECT count(*) FROM events_storedevent),
           (SELECT count(*) FROM events_delivery WHERE state <> 'retrying'), (SELECT count(*) FROM events_attempt)
"""


@dataclass
class Figures:
    """Counts at one time, or between two."""

    sequence: int
    events: int
    deliveries: int
    failed: int
    arrivals: int
    redelivered: int
    repaired: int

    @classmethod
    def of(cls, system: System) -> Figures:
        return cls(
            *system.cluster.ask(COUNTS)[0],
            system.counted("arrivals"),
            system.counted("redelivered"),
            repaired_by_itself(system),
        )


class Report:
    """Keeps the figures of each fault."""

    def __init__(self) -> None:
        self._spans: dict[str, list[tuple[Figures, Figures, float]]] = defaultdict(list)
        self.repaired: dict[str, int] = defaultdict(int)

    def enter(self, kind: str, before: Figures, after: Figures, seconds: float) -> None:
        """One fault, from before it to the first events done after it."""
        self._spans[kind].append((before, after, seconds))

    def show(self, findings: Findings, *, title: str) -> str:
        """The table as text. What was lost or doubled is counted where its event was emitted."""
        table = Table(title=title)
        table.add_column("fault")
        columns = (
            "times",
            "events",
            "deliveries",
            "redelivered",
            "failed attempts",
            "repaired",
            "lost",
            "doubled",
            "slowest s",
        )
        for column in columns:
            table.add_column(column, justify="right")
        for kind, spans in self._spans.items():
            table.add_row(kind, *map(str, self._line(kind, spans, findings)))
        table.add_section()
        table.add_row(
            "the whole run",
            str(sum(map(len, self._spans.values()))),
            str(findings.events),
            str(findings.deliveries),
            *(str(self._total(lambda f: f.redelivered)), str(self._total(lambda f: f.failed))),
            str(sum(self.repaired.values()) + self._total(lambda f: f.repaired)),
            str(len(findings.lost)),
            str(len(findings.doubled)),
            f"{max(seconds for spans in self._spans.values() for *_, seconds in spans):.0f}",
        )
        console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        console.print(table)
        return console.export_text()

    def _line(self, kind: str, spans: list[tuple[Figures, Figures, float]], findings: Findings) -> list[Any]:
        def gained(of: Callable[[Figures], int]) -> int:
            return sum(of(after) - of(before) for before, after, _ in spans)

        def within(rows: list[tuple[Any, ...]]) -> int:
            return sum(before.sequence < row[0] <= after.sequence for row in rows for before, after, _ in spans)

        return [
            len(spans),
            gained(lambda f: f.events),
            gained(lambda f: f.deliveries),
            gained(lambda f: f.redelivered),
            gained(lambda f: f.failed),
            self.repaired[kind] + gained(lambda f: f.repaired),
            within(findings.lost),
            within(findings.doubled),
            f"{max(seconds for *_, seconds in spans):.0f}",
        ]

    def _total(self, of: Callable[[Figures], int]) -> int:
        return max(of(after) for spans in self._spans.values() for _, after, _ in spans)
