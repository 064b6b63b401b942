"""Resumable: the options of commands that work in chunks, and their message when they stop early."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError, CommandParser

from feeds.batch.chunks import ChunksInterruptedError, StoppedEarlyError
from feeds.batch.concurrency import checked_jobs

#: The exit code of a command that Ctrl-C ended, as shells have it.
EXIT_BY_CTRL_C = 130


def add_arguments(parser: CommandParser, *, place: Callable[[str], Any], metavar: str) -> None:
    """Add --jobs and --after. place: parses the value of --after, and raises ValueError with the cure."""
    parser.add_argument(
        "--jobs",
        type=_argument(lambda text: checked_jobs(whole_number(text))),
        metavar="N",
        help="chunks that run at the same time, each on its own connection (default: 4; 1 on SQLite)",
    )
    parser.add_argument(
        "--after",
        type=_argument(place),
        metavar=metavar,
        help="continue after this place, as printed by an interrupted run",
    )


@contextmanager
def resumable() -> Iterator[None]:
    """Turn a StoppedEarlyError into a CommandError that names the value for --after."""
    try:
        yield
    except StoppedEarlyError as stop:
        raise CommandError(
            f"{stop}. Finished work is kept. To continue, run the same command with --after {stop.after}",
            returncode=EXIT_BY_CTRL_C if isinstance(stop, ChunksInterruptedError) else 1,
        ) from stop


def whole_number(text: str) -> int:
    """A number, 0 or above. Raises ValueError."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _argument(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def reader(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return reader
