"""Results: the table at the end of a run, a row for each case and a column for each broker."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

WIDTH = 120
LEGEND = "messages handed out / again for the same attempt / effects doubled / effects out of order"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table if cases of the suite ran. (The counts travel with the reports, from other processes, too.)"""
    cases, titles, notes = gather([one for reports in terminalreporter.stats.values() for one in reports])
    if not cases:
        return
    terminalreporter.section("conformance")
    terminalreporter.write(render(cases, titles))
    for note in notes:
        terminalreporter.write_line(note)


def gather(reports: list[Any]) -> tuple[dict[str, dict[str, str]], list[str], list[str]]:
    """The cells by case and broker, the brokers, and the notes."""
    cells: dict[str, dict[str, str]] = {}
    titles: list[str] = []
    notes: list[str] = []
    outcomes = outcome_of([one for one in reports if isinstance(one, pytest.TestReport)])
    for report in reports:
        found = dict(getattr(report, "user_properties", ())).get("conformance")
        if not found or report.when != "teardown":
            continue
        case = title_of(report.nodeid)
        counts = "/".join(str(found[name]) for name in ("handed", "again", "doubled", "inversions"))
        outcome = outcomes[report.nodeid]
        cells.setdefault(case, {})[found["broker"]] = outcome if outcome == "not promised" else f"{outcome} {counts}"
        if found["broker"] not in titles:
            titles.append(found["broker"])
        notes += [f"{case}, {found['broker']}: {note}" for note in found["notes"]]
    return cells, sorted(titles, key=str.lower), sorted(notes)


def title_of(nodeid: str) -> str:
    """The test's name as a sentence, with what else it was parametrised by than the broker and the usual size."""
    name, _, parameters = nodeid.split("::")[-1].rstrip("]").partition("[")
    _, _, variant = parameters.partition("-")
    sentence = name.removeprefix("test_").replace("_", " ")
    return f"{sentence} ({variant})" if variant not in ("", "small") else sentence


def outcome_of(reports: list[pytest.TestReport]) -> dict[str, str]:
    """What became of each test: the worst of its setup, call and teardown."""
    outcomes: dict[str, str] = {}
    for report in reports:
        word = "not promised" if "not promised" in str(report.longrepr) and report.skipped else report.outcome
        if outcomes.get(report.nodeid, "passed") == "passed":
            outcomes[report.nodeid] = word
        elif report.failed:
            outcomes[report.nodeid] = "failed"
    return outcomes


def render(cases: dict[str, dict[str, str]], titles: list[str]) -> str:
    """The table as text."""
    table = Table("case", *titles, caption=LEGEND)
    for case in sorted(cases):
        table.add_row(case, *(cases[case].get(title, "") for title in titles))
    text = io.StringIO()
    Console(file=text, width=WIDTH).print(table)
    return text.getvalue()
