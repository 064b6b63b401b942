"""Terminal: how commands read times, draw tables and progress, and ask for confirmation.

rich draws where it is installed. Without it a table is plain text, and there is no progress bar.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError, OutputWrapper
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

AGO = re.compile(r"(\d+)([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
#: Characters per line of a table that is piped.
PIPED_WIDTH = 160


def moment(text: str) -> dt.datetime:
    """A time from an argument: a date, a date and time, or how long ago ("90s", "30m", "2h", "7d").

    Raises ArgumentTypeError with the forms that it takes.
    """
    if ago := AGO.fullmatch(text):
        return timezone.now() - dt.timedelta(seconds=int(ago[1]) * SECONDS[ago[2]])
    try:
        if day := parse_date(text):
            return timezone.make_aware(dt.datetime.combine(day, dt.time.min))
        if time := parse_datetime(text):
            return time if timezone.is_aware(time) else timezone.make_aware(time)
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a time: write 2026-11-25, 2026-11-25T10:30, or how long ago: 90s, 30m, 2h, 7d"
    )


def printable(text: object) -> str:
    """Text without control characters and changes of direction, which would act on the terminal; they become
    escapes."""
    return "".join(
        one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode() for one in str(text)
    )


class Table:
    """Rows of text under headings."""

    def __init__(self, *headings: str) -> None:
        self.headings = headings
        self.rows: list[tuple[str, ...]] = []

    def add_row(self, *cells: str) -> None:
        self.rows.append(cells)


def show(stream: OutputWrapper, table: Table) -> None:
    """Write a table to a command's output."""
    try:
        from rich import console
        from rich import table as drawn
    except ModuleNotFoundError:
        stream.write(_plain(table))
        return
    drawing = drawn.Table(*table.headings)
    for row in table.rows:
        drawing.add_row(*row)
    width = None if stream.isatty() else PIPED_WIDTH
    terminal = console.Console(width=width, markup=False, highlight=False, emoji=False)
    with terminal.capture() as captured:
        terminal.print(drawing)
    stream.write("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _plain(table: Table) -> str:
    lines = [table.headings, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def show_json(stream: OutputWrapper, what: object) -> None:
    """Write JSON to a command's output."""
    stream.write(json.dumps(what, cls=DjangoJSONEncoder, indent=2))


@contextmanager
def progress_bar(label: str, *, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, so that a command's output can be piped. The yielded function moves it on by a number of
    steps."""
    try:
        from rich import console, progress
    except ModuleNotFoundError:
        yield lambda steps: None
        return
    with progress.Progress(console=console.Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total)
        yield lambda steps: bar.advance(task, steps)


def confirm(question: str, options: dict[str, Any]) -> None:
    """Go on only if the person says so, or said so by --yes. Raises CommandError otherwise."""
    if options["yes"]:
        return
    if not sys.stdin.isatty():
        raise CommandError(
            f"{question} Cannot ask without a terminal: add --yes, or use --dry-run to see what would happen."
        )
    if input(f"{question} [y/N] ").strip().lower() not in {"y", "yes"}:
        raise CommandError("Nothing was changed.")
