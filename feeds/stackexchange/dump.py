"""Dump: a folder of tables, as CSV or as the official XML, read row by row."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

from rich.progress import Progress

from feeds.stackexchange.xml_file import XmlFile

Row = Mapping[str, str]

#: The key of a row under which its place in the table stands: "1" for the first one.
NUMBER = "(number)"

#: The columns that an import needs, by table. The XML form leaves out empty ones.
COLUMNS = {
    "Posts": ("Id", "PostTypeId", "ParentId", "CreationDate", "OwnerUserId", "Title", "Body"),
    "Comments": ("Id", "PostId", "CreationDate", "UserId", "Text"),
    "Votes": ("Id", "PostId", "VoteTypeId", "CreationDate"),
}
#: The columns that no row leaves empty. An XML file without one in its first rows is no file of a dump.
ALWAYS_FILLED = {"Id", "PostTypeId", "PostId", "VoteTypeId", "CreationDate"}
#: The rows of an XML file that are looked at for its columns.
FIRST_ROWS = 100
#: A table that a dump may lack; without it users are named by their ids.
OPTIONAL = {"Users": ("Id", "DisplayName", "CreationDate")}

UNREADABLE = (UnicodeError, csv.Error, ElementTree.ParseError, OSError)


class BadDumpError(Exception):
    """A dump, or a graph, cannot be read; the message says what to do."""


class Dump:
    """A folder with Posts, Comments, Votes and perhaps Users, each as .csv or .xml. Raises BadDumpError."""

    def __init__(self, folder: Path, *, progress: Progress) -> None:
        self._progress = progress
        self._paths = _find_tables(folder)
        for table, path in self._paths.items():
            self._require_columns(table, path)

    def has(self, table: str) -> bool:
        """Whether the dump has an optional table."""
        return table in self._paths

    def rows(self, table: str, *, label: str) -> Iterator[Row]:
        """The rows of a table, read one by one, with a progress bar of this label. Raises BadDumpError."""
        path = self._paths[table]
        try:
            rows = self._csv_rows(path, label) if _is_csv(path) else self._xml_rows(table, path, label)
            for number, row in enumerate(rows, 1):
                row[NUMBER] = str(number)
                yield row
        except UNREADABLE as error:
            raise _damaged(path, error) from error

    def _csv_rows(self, path: Path, label: str) -> Iterator[dict[str, str]]:
        csv.field_size_limit(sys.maxsize)
        with self._progress.open(path, "r", encoding="utf-8-sig", newline="", description=label) as file:
            yield from csv.DictReader(file)

    def _xml_rows(self, table: str, path: Path, label: str) -> Iterator[dict[str, str]]:
        with self._progress.open(path, "rb", description=label) as file:
            yield from _xml_rows(table, path, XmlFile(file))

    def _require_columns(self, table: str, path: Path) -> None:
        columns = (COLUMNS | OPTIONAL)[table]
        try:
            missing = _missing_in_csv(path, columns) if _is_csv(path) else _missing_in_xml(table, path, columns)
        except UNREADABLE as error:
            raise _damaged(path, error) from error
        if missing:
            where = "Its first line" if _is_csv(path) else "Its rows"
            raise BadDumpError(
                f"{path} lacks the column(s) {', '.join(missing)}. {where} must name {', '.join(columns)} "
                "(other columns are allowed). Export it again with these columns"
            )


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _missing_in_csv(path: Path, columns: tuple[str, ...]) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    return [column for column in columns if column not in header]


def _missing_in_xml(table: str, path: Path, columns: tuple[str, ...]) -> list[str]:
    with path.open("rb") as file:
        rows = list(islice(_xml_rows(table, path, XmlFile(file)), FIRST_ROWS))
    found = Counter(column for row in rows for column in row)
    return [column for column in columns if rows and column in ALWAYS_FILLED and not found[column]]


def _xml_rows(table: str, path: Path, file: XmlFile) -> Iterator[dict[str, str]]:
    parsing = ElementTree.iterparse(file, events=("start", "end"))
    _, root = next(parsing)
    if root.tag != table.lower():
        raise BadDumpError(f"{path} contains <{root.tag}>, not <{table.lower()}>. Use the {table} file of the dump")
    for event, element in parsing:
        if event == "end" and element is not root:
            yield dict(element.attrib)
            root.clear()


def _damaged(path: Path, error: Exception) -> BadDumpError:
    if isinstance(error, OSError):
        return BadDumpError(f"{path} cannot be read: {error.strerror}. Let this user read it, and start again")
    return BadDumpError(
        f"{path} is damaged or not UTF-8: {error}. Extract it again from the archive, or convert it to UTF-8"
    )


def _find_tables(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise BadDumpError(f"{folder} is not a folder. Name the folder that contains {_files()}")
    files = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()}
    found = {}
    for table in (*COLUMNS, *OPTIONAL):
        path = files.get(f"{table.lower()}.csv") or files.get(f"{table.lower()}.xml")
        if path is not None:
            found[table] = path
        elif table in COLUMNS:
            raise BadDumpError(f"{folder} has neither {table}.csv nor {table}.xml. An import needs {_files()}")
    return found


def _files() -> str:
    return f"{', '.join(COLUMNS)} (and optionally {', '.join(OPTIONAL)}), each as .csv or .xml"
