"""Threads: database work of the sockets, beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run database work in a thread.

    Not in asgiref's thread-sensitive thread: the process has one of it, so that a slow query there would delay every
    socket.
    """
    return await asyncio.to_thread(_with_fresh_connection, partial(work, *args, **kwargs))


def _with_fresh_connection(work: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()
