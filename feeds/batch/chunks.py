"""Chunks: work through a large table by primary key, in short transactions, some at once, while the site runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from django.db import connection
from django.db.models import QuerySet

from events.db import committed, discard, retry_deadlocks
from events.pool import get_pool
from feeds.batch.concurrency import checked_jobs
from feeds.batch.progress import Advance, ChunkProgress

T = TypeVar("T")

#: Rows in a chunk: one transaction.
ROWS_PER_CHUNK = 200


class StoppedEarlyError(BaseException):
    """The work ended early. No chunk is running any more; a chunk that failed has written nothing.

    after: the key to continue after; every row up to it is done.
    results: the results of all chunks that succeeded, also those above `after`, in the order of their keys.
    """

    def __init__(self, why: str, *, after: Any, results: list[Any]) -> None:
        super().__init__(why)
        self.after = after
        self.results = results


class ChunkFailedError(StoppedEarlyError, Exception):
    """A chunk failed; its error is the cause of this one."""


class ChunksInterruptedError(StoppedEarlyError, KeyboardInterrupt):
    """Ctrl-C was pressed."""


def chunks_of(rows: QuerySet[Any], *, size: int = ROWS_PER_CHUNK, after: int = 0) -> Iterator[list[int]]:
    """The primary keys above `after` in ascending order, in lists of up to `size`, one query for each list."""
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
    """Call `work` with each chunk of the primary keys above `after`; return the results in the order of the keys.

    Each call runs in a transaction and in a slot of the process's pool. A chunk that loses a deadlock is tried again.

    jobs: the most chunks at once; by default 4, on SQLite 1. A single job works in the calling thread. So does any
    number of jobs inside a transaction, because no other thread sees the rows of that transaction.
    advance: called in the calling thread after each chunk with its number of rows.

    Raises ValueError for a number of jobs out of range; ChunkFailedError for the first chunk that fails; and
    ChunksInterruptedError on Ctrl-C. The last two come when all running chunks have ended.
    """
    jobs = checked_jobs(jobs)
    in_threads = jobs > 1 and not connection.in_atomic_block
    one_chunk = partial(_in_transaction, work)
    start: Callable[[list[int]], Future[T]] = partial(get_pool().submit if in_threads else _run_here, one_chunk)
    progress: ChunkProgress[T] = ChunkProgress(advance)
    try:
        for ids in chunks_of(rows, after=after):
            progress.add(ids, start(ids))
            progress.wait_until_fewer_run(than=jobs if in_threads else 1)
        progress.wait_until_fewer_run(than=1)
    except KeyboardInterrupt as error:
        progress.cancel()
        progress.wait_for_all()
        if not connection.in_atomic_block:
            discard(connection)  # Ctrl-C may have cut off one of its statements
        results = progress.results()
        raise ChunksInterruptedError("Stopped", after=progress.done_up_to(after), results=results) from error
    except BaseException as error:
        progress.wait_for_all()
        why = f"{progress.failed or 'The work'} failed: {type(error).__name__}: {error}"
        raise ChunkFailedError(why, after=progress.done_up_to(after), results=progress.results()) from error
    return progress.results()


def _run_here(work: Callable[[list[int]], T], ids: list[int]) -> Future[T]:
    """Run the chunk now, in this thread and a slot of the pool."""
    future: Future[T] = Future()
    try:
        future.set_result(get_pool().run(work, ids))
    except Exception as error:  # noqa: BLE001 - as in any future, it is raised where the result is taken
        future.set_exception(error)
    return future


def _in_transaction(work: Callable[[list[int]], T], ids: list[int]) -> T:
    def transact() -> T:
        with committed():
            return work(ids)

    return retry_deadlocks(transact)
