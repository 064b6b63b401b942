"""Terminal: what the commands of the event system share in reading arguments and in showing results."""

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
from rich.console import Console, RenderableType
from rich.progress import Progress

AGO = re.compile(r"(\d+)([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
#: Columns of a table that is piped.
WIDTH = 160


def moment(text: str) -> dt.datetime:
    """An argument that is a time: a date, a date and time, or how long ago ("90s", "30m", "2h", "7d")."""
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
    """Text without what steers a terminal or turns its direction; such characters are shown as escapes."""
    return "".join(
        one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode() for one in str(text)
    )


def show(stream: OutputWrapper, what: RenderableType) -> None:
    """Write a table or text to a command's output."""
    console = Console(width=None if stream.isatty() else WIDTH, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(what)
    stream.write("\n".join(line.rstrip() for line in captured.get().splitlines()))


def show_json(stream: OutputWrapper, what: object) -> None:
    """Write JSON to a command's output."""
    stream.write(json.dumps(what, cls=DjangoJSONEncoder, indent=2))


@contextmanager
def bar(label: str, *, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar that the yielded function moves on by so many; on stderr, so that a command's output can be piped."""
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.advance(task, done)


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
