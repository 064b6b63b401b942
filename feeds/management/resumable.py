"""Resumable: the options of commands that work in chunks, and what they say when they are broken off."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError, CommandParser

from feeds.batch.chunks import ChunksInterruptedError, StoppedEarlyError
from feeds.batch.concurrency import checked_jobs

#: What shells call the end by Ctrl-C.
BY_INTERRUPT = 130


def add_arguments(parser: CommandParser, *, place: Callable[[str], Any], metavar: str) -> None:
    """Add --jobs and --after; `place` reads what the latter takes and raises ValueError with the cure."""
    parser.add_argument(
        "--jobs",
        type=_reading(lambda text: checked_jobs(whole_number(text))),
        metavar="N",
        help="chunks under way at once, each with a connection of its own (by default 4; 1 on SQLite)",
    )
    parser.add_argument(
        "--after", type=_reading(place), metavar=metavar, help="go on from there, as a run that was broken off said"
    )


@contextmanager
def resumable() -> Iterator[None]:
    """Say where to go on when the work inside is broken off."""
    try:
        yield
    except StoppedEarlyError as stop:
        raise CommandError(
            f"{stop}; what is done stays, and the same command goes on from there with --after {stop.after}",
            returncode=BY_INTERRUPT if isinstance(stop, ChunksInterruptedError) else 1,
        ) from stop


def whole_number(text: str) -> int:
    """A number from 0. Raises ValueError."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def _reading(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def reader(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return reader
