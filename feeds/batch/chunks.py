"""Chunks: work through a large table by its primary key, some short transactions at a time, while the site runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet

from events.pool import get_pool
from feeds.batch.concurrency import checked_jobs
from feeds.batch.progress import Advance, Course

T = TypeVar("T")

SIZE = 200
#: How often a chunk that lost a deadlock against the site runs again at once.
DEADLOCK_RETRIES = 10
DEADLOCKS = {"40P01", "40001"}


class StoppedEarlyError(BaseException):
    """The work ended early; nothing of it is under way any more, and a chunk that failed has left nothing.

    `after` is where to go on: all up to it is done. `results` are those of all chunks that are done, later ones
    included, in the order of their keys.
    """

    def __init__(self, why: str, *, after: Any, results: list[Any]) -> None:
        super().__init__(why)
        self.after = after
        self.results = results


class ChunkFailedError(StoppedEarlyError, Exception):
    """A chunk failed; its error is the cause of this one."""


class ChunksInterruptedError(StoppedEarlyError, KeyboardInterrupt):
    """Ctrl-C came."""


def chunks_of(rows: QuerySet[Any], *, size: int = SIZE, after: int = 0) -> Iterator[list[int]]:
    """The primary keys above `after` in ascending order, in lists of up to `size`, each read when it is asked for."""
    while ids := list(rows.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:size]):
        yield ids
        after = ids[-1]


def each_chunk(
    rows: QuerySet[Any],
    work: Callable[[list[int]], T],
    *,
    jobs: int | None = None,
    after: int = 0,
    advance: Advance | None = None,
) -> list[T]:
    """Call `work` with chunk after chunk of the primary keys above `after`, up to `jobs` at once, each in a transaction
    and a slot of the process's pool; returns the results in the order of the keys.

    jobs: by default a few, on SQLite one. One works in the calling thread, and so does any number inside a transaction,
    whose rows no other thread sees. A chunk that loses a deadlock runs again.
    advance: told how many more are done, in the calling thread.

    Raises ValueError for a number of jobs out of range; ChunkFailedError for the first that fails and ChunksInterruptedError on Ctrl-C,
    when what was under way has ended.
    """
    jobs = checked_jobs(jobs)
    in_threads = jobs > 1 and not connection.in_atomic_block
    one_chunk = partial(_transact, work)
    start: Callable[[list[int]], Future[T]] = partial(get_pool().submit if in_threads else _run_here, one_chunk)
    course: Course[T] = Course(advance)
    try:
        for ids in chunks_of(rows, after=after):
            course.add(ids, start(ids))
            course.settle(fewer_than=jobs if in_threads else 1)
        course.settle(fewer_than=1)
    except KeyboardInterrupt as error:
        course.cancel()
        course.end()
        if not connection.in_atomic_block:
            connection.close()  # a statement of it may have been cut off half-way
        raise ChunksInterruptedError("stopped", after=course.done_up_to(after), results=course.results()) from error
    except BaseException as error:
        course.end()
        why = f"{course.failed or 'the work'} failed: {type(error).__name__}: {error}"
        raise ChunkFailedError(why, after=course.done_up_to(after), results=course.results()) from error
    return course.results()


def _run_here(work: Callable[[list[int]], T], ids: list[int]) -> Future[T]:
    """Run it now, in this thread and a slot of the pool."""
    future: Future[T] = Future()
    try:
        future.set_result(get_pool().run(work, ids))
    except Exception as error:  # noqa: BLE001 - as in any future, it is raised where the result is taken
        future.set_exception(error)
    return future


def _transact(work: Callable[[list[int]], T], ids: list[int]) -> T:
    retries = DEADLOCK_RETRIES
    while True:
        try:
            with transaction.atomic():
                return work(ids)
        except OperationalError as error:
            retries -= 1
            if retries < 0 or getattr(error.__cause__, "sqlstate", None) not in DEADLOCKS:
                raise
