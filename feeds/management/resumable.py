"""Resumable: the options of commands that work in chunks, and what they say when they are broken off."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError, CommandParser

from feeds.batch.chunks import BrokenOff, Interrupted
from feeds.batch.concurrency import checked_jobs

#: What shells call the end by Ctrl-C.
BY_INTERRUPT = 130


def add_arguments(parser: CommandParser, *, place: Callable[[str], Any], metavar: str) -> None:
    """Add --jobs and --after; `place` reads what the latter takes and raises ValueError with the cure."""
    parser.add_argument(
        "--jobs",
        type=_reading(lambda text: checked_jobs(whole_number(text))),
        metavar="N",
        help="chunks that run at the same time, each on its own connection (default: 4; 1 on SQLite)",
    )
    parser.add_argument(
        "--after",
        type=_reading(place),
        metavar=metavar,
        help="continue after this place, as printed by an interrupted run",
    )


@contextmanager
def resumable() -> Iterator[None]:
    """Say where to go on when the work inside is broken off."""
    try:
        yield
    except BrokenOff as stop:
        raise CommandError(
            f"{stop}. Finished work is kept. To continue, run the same command with --after {stop.after}",
            returncode=BY_INTERRUPT if isinstance(stop, Interrupted) else 1,
        ) from stop


def whole_number(text: str) -> int:
    """A number from 0. Raises ValueError."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _reading(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def reader(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return reader
