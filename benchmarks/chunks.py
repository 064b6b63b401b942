"""How much faster chunks are in parallel than one after another, on PostgreSQL: recount, reindex and rebuild_feeds on a
Stack Exchange dump, with every row to repair. One job and several jobs take turns, and the order is reversed from round
to round. Prints the ratio of the median times.

    python -m benchmarks.chunks DUMP [--graph FILE] [--rounds 5] [--jobs 4] [--readers 2000]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.services import temporary_services


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("dump", type=Path)
    arguments.add_argument("--graph", type=Path)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--jobs", type=int, default=4, help="chunks at once")
    arguments.add_argument("--readers", type=int, default=2000, help="users whose feeds are rebuilt")
    options = arguments.parse_args()
    with temporary_services("airy_bench_chunks"):
        load(options.dump, options.graph)
        measure(options.rounds, options.jobs, options.readers)


def load(dump: Path, graph: Path | None) -> None:
    from rich.progress import Progress

    from feeds.stackexchange.import_dump import import_dump

    with Progress() as progress:
        import_dump(dump, source="benchmark", graph=graph, progress=progress)


def measure(rounds: int, jobs: int, readers: int) -> None:
    from feeds.counts.recount import recount
    from feeds.home_feed.rebuild import rebuild_feeds
    from feeds.models import EntityCounts, FeedEntry, SearchDocument, User
    from feeds.search.reindex import reindex

    some = User.objects.order_by("pk").values_list("pk", flat=True)[:readers]
    users = User.objects.filter(pk__lte=list(some)[-1])

    def falsify_counts() -> None:
        EntityCounts.objects.update(upvotes=-1)

    tasks: dict[str, tuple[Callable[[], object], Callable[[int], object]]] = {
        "recount": (falsify_counts, lambda jobs: recount(jobs=jobs)),
        "reindex": (SearchDocument.objects.all().delete, lambda jobs: reindex(jobs=jobs)),
        "rebuild_feeds": (FeedEntry.objects.all().delete, lambda jobs: rebuild_feeds(users, jobs=jobs)),
    }
    for name, (undo, work) in tasks.items():
        work(1)
        seconds: dict[int, list[float]] = {1: [], jobs: []}
        for number in range(rounds):
            for side in sorted(seconds, reverse=bool(number % 2)):
                undo()
                began = time.perf_counter()
                work(side)
                seconds[side].append(time.perf_counter() - began)
        ratio = statistics.median(seconds[1]) / statistics.median(seconds[jobs])
        each = [one / many for one, many in zip(seconds[1], seconds[jobs], strict=True)]
        print(f"{name}: {jobs} jobs are {ratio:.2f} times as fast as 1 (rounds {min(each):.2f} to {max(each):.2f})")


if __name__ == "__main__":
    main()
