"""Dump files: write small Stack Exchange dumps, and import them."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from rich.progress import Progress

from feeds.models import ImportedRow
from feeds.stackexchange.import_dump import import_dump
from feeds.stackexchange.report import Report

COLUMNS = {
    "Users": "Id DisplayName CreationDate",
    "Posts": "ParentId OwnerDisplayName OwnerUserId Score CreationDate Body Title Id PostTypeId LastEditDate",
    "Comments": "Id UserId Text UserDisplayName Score CreationDate PostId",
    "Votes": "PostId VoteTypeId CreationDate Id",
}
DAY = "2014-05-01T08:00:00.250"

Fields = dict[str, Any]


def question(number: int, author: int | str, **fields: Any) -> Fields:
    return post(number, author, PostTypeId=1, **{"Title": f"Question {number}", **fields})


def answer(number: int, author: int | str, to: int, **fields: Any) -> Fields:
    return post(number, author, PostTypeId=2, ParentId=to, **fields)


def post(number: int, author: int | str, **fields: Any) -> Fields:
    return {"Id": number, "OwnerUserId": author, "Body": f"<p>Body {number}.</p>", "CreationDate": DAY, **fields}


def comment(number: int, author: int | str, on: int, **fields: Any) -> Fields:
    return {"Id": number, "UserId": author, "PostId": on, "Text": f"Comment {number}", "CreationDate": DAY, **fields}


def vote(number: int, on: int, kind: int = 2) -> Fields:
    return {"Id": number, "PostId": on, "VoteTypeId": kind, "CreationDate": "2014-05-03T00:00:00.000"}


def user(number: int, name: str) -> Fields:
    return {"Id": number, "DisplayName": name, "CreationDate": "2013-01-01T00:00:00.000"}


def write(folder: Path, *, form: str = "csv", **tables: Sequence[Fields]) -> Path:
    """A folder with these tables. A table that is left out is empty; Users is then missing."""
    folder.mkdir(exist_ok=True)
    for table, columns in COLUMNS.items():
        rows = tables.get(table.lower(), ())
        if table == "Users" and not rows:
            continue
        with (folder / f"{table}.{form}").open("w", encoding="utf-8", newline="") as file:
            if form == "csv":
                writer = csv.DictWriter(file, columns.split())
                writer.writeheader()
                writer.writerows(rows)
            else:
                file.write(f'<?xml version="1.0" encoding="utf-8"?>\n<{table.lower()}>\n')
                file.writelines(
                    f"  <row {' '.join(f'{key}={quoteattr(str(value))}' for key, value in row.items())} />\n"
                    for row in rows
                )
                file.write(f"</{table.lower()}>\n")
    return folder


def graph(path: Path, *edges: str) -> Path:
    """A file of edges, each "A B", in the format of SNAP."""
    path.write_text("# Directed graph\n# FromNodeId\tToNodeId\n" + "\n".join(edges).replace(" ", "\t") + "\n")
    return path


def load(folder: Path, *, edges: Path | None = None, source: str = "garden") -> Report:
    """Import without a progress bar."""
    return import_dump(folder, source=source, graph=edges, progress=Progress(disable=True))


def became(kind: str, number: int | str, *, source: str = "garden") -> int:
    """Our id of an imported row."""
    return ImportedRow.objects.get(source=source, kind=kind, external_id=str(number)).object_id


def adds_up(report: Report) -> bool:
    """Whether read = imported + already + skipped for each kind of rows."""
    return all(tally.read == tally.imported + tally.already + tally.skipped.total() for tally in report.values())
