"""Busy: what the worker threads of this process run at the moment."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Of so many threads the heartbeat says what they run, the longest first.
MOST = 50

_running: dict[int, tuple[dt.datetime, str]] = {}


@contextmanager
def running(subscriber: str) -> Iterator[None]:
    """Note that the calling thread runs this subscriber while inside."""
    thread = threading.get_ident()
    _running[thread] = (dt.datetime.now(dt.UTC), subscriber)
    try:
        yield
    finally:
        del _running[thread]


def busy_figures(threads: int) -> dict[str, Any]:
    """How many of so many worker threads are busy, and what they run since when."""
    found = sorted(_running.copy().values())
    return {
        "threads": threads,
        "busy": len(found),
        "runs": [{"subscriber": name, "since": since.isoformat(timespec="seconds")} for since, name in found[:MOST]],
    }
