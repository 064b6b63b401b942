"""Import: a dump and a graph, step by step. It can be interrupted at any moment and started again."""

from __future__ import annotations

from pathlib import Path

from rich.progress import Progress

from feeds.stackexchange.dump import Dump
from feeds.stackexchange.follows import Follows
from feeds.stackexchange.graph import Graph
from feeds.stackexchange.people import Authors, Nodes
from feeds.stackexchange.report import Report
from feeds.stackexchange.survey import Survey
from feeds.stackexchange.texts import Answers, Comments, Questions
from feeds.stackexchange.votes import Votes


def import_dump(folder: Path, *, source: str, graph: Path | None = None, progress: Progress) -> Report:
    """Import the rows that were not imported yet. Raises BadDumpError for files that cannot be read.

    A row that cannot be imported is counted with its id and the reason, and the others are imported. Rows that another
    process imports at the same time are left to it.

    source: a name for the dump; ids of different sources are different rows.

    The events of the rows are emitted now, but the rows have the dates of the dump; subscribers that notify people go
    by these dates, so nobody is notified of the past.
    """
    dump = Dump(folder, progress=progress)
    edges = Graph(graph, progress=progress) if graph else None
    survey = Survey(dump, edges)
    report = Report()
    Authors(source, report, dump=dump, survey=survey, progress=progress).run()
    if edges:
        Nodes(source, report, survey=survey, progress=progress).run()
        Follows(source, report, graph=edges, survey=survey).run()
    for step in (Questions, Answers, Comments):
        step(source, report, dump=dump).run()
    Votes(source, report, dump=dump).run()
    return report
