"""Occupy: hold slots of a pool, and give threads that can block in `submit`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from events.pool import TaskHandle, TaskPool

#: The fixture `eventually`: waits until a condition holds.
Eventually = Callable[..., None]


class Release(threading.Event):
    """Setting it ends the tasks that wait for it."""

    tasks: list[TaskHandle[bool]]


@contextmanager
def occupied(pool: TaskPool, slots: int) -> Iterator[Release]:
    """Hold that many slots with functions that wait for the event; it is set at the end of the block at the latest."""
    release = Release()
    try:
        release.tasks = [pool.submit(release.wait) for _ in range(slots)]
        yield release
    finally:
        release.set()


@contextmanager
def submitter_threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that are no tasks of the pool and may block in `submit`."""
    with ThreadPoolExecutor(number, thread_name_prefix="submitter") as threads:
        yield threads


def do_nothing() -> None:
    pass


def threads_of(pool: TaskPool) -> list[threading.Thread]:
    """The pool's live threads, by name."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(f"{pool.name}-")]
