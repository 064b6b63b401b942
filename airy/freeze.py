"""Freeze: what a web process has loaded lives as long as the process, so the garbage collector need not look at it."""

from __future__ import annotations

import gc

from django.urls import get_resolver

#: Collections of the middle generation before a full one, Python's own number being 10: a full one looks at every open
#: socket, which takes 60 ms while a crowd comes back.
FULL_AFTER = 100


def freeze() -> None:
    """Load the pages, which else the first request would load, and leave all that is loaded out of later collections.

    A full collection looked at 150,000 objects for that, which took 76 ms, in the middle of somebody's request. The
    processes of `rundramatiq` are frozen by their supervisor.
    """
    _ = get_resolver().url_patterns
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_AFTER)
