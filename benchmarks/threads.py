"""What a page of a long thread costs, beside one of a short thread, on PostgreSQL.

All comments have votes; one in three stands at the top, the others reply to one before them. Measured are the first
page, the next one, one from the middle, and the page that holds a given comment, each as a visitor and as a user reads
it. The time is that of the processor, of this process and of the database's session together: the median in
milliseconds, and the ratio to the same page of the short thread.

    python -m benchmarks.threads [--long 20000] [--short 200] [--rounds 7]
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.processor import ProcessorClock
from benchmarks.services import temporary_services

NAME = "airy_bench_threads"
#: Comments inserted at once.
CHUNK = 2_000
#: Comments of a page. The short thread has several pages, too.
SIZE = 100

Read = Callable[[], Any]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--long", type=int, default=20_000)
    arguments.add_argument("--short", type=int, default=200)
    arguments.add_argument("--rounds", type=int, default=7)
    options = arguments.parse_args()
    with temporary_services(NAME):
        from django.db import connection

        from feeds.models import User

        author = User.objects.create(username="author")
        threads = [fill(author, count) for count in (options.short, options.long)]
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        for viewer in (None, author):
            short, long = (pages(post, viewer) for post in threads)
            for name, read in long.items():
                print_times(f"{name}, {'a user' if viewer else 'a visitor'}", read, short[name], rounds=options.rounds)


def fill(author: Any, count: int) -> Any:
    """A post with this many comments, and their counts."""
    from feeds.models import Comment, EntityCounts, Post

    chance = random.Random(count)
    post = Post.objects.create(author=author, title=str(count), body="")
    ids: list[int] = []
    for start in range(0, count, CHUNK):
        comments = [
            Comment(post=post, author=author, content=f"Comment {n}", parent_id=parent(ids, chance))
            for n in range(start, min(start + CHUNK, count))
        ]
        ids += [comment.pk for comment in Comment.objects.bulk_create(comments)]
    EntityCounts.objects.bulk_create(
        EntityCounts(entity_type="comment", entity_id=one, upvotes=chance.randrange(30), downvotes=chance.randrange(9))
        for one in ids
    )
    return post


def parent(ids: list[int], chance: random.Random) -> int | None:
    return chance.choice(ids[-50:]) if ids and chance.random() > 1 / 3 else None


def pages(post: Any, viewer: Any) -> dict[str, Read]:
    """Readers of pages, by name."""
    from feeds.lists.threads import list_comments
    from feeds.models import Comment

    ids = list(Comment.objects.filter(post=post).order_by("pk").values_list("pk", flat=True))
    first = list_comments(post, viewer=viewer, size=SIZE)
    middle = list_comments(post, viewer=viewer, size=len(ids) // 2)
    return {
        "first page": lambda: list_comments(post, viewer=viewer, size=SIZE),
        "next page": lambda: list_comments(post, viewer=viewer, size=SIZE, cursor=first.next_cursor),
        "middle": lambda: list_comments(post, viewer=viewer, size=SIZE, cursor=middle.next_cursor),
        "one comment": lambda: list_comments(post, viewer=viewer, size=SIZE, focus=ids[len(ids) // 2]),
    }


def print_times(name: str, long: Read, short: Read, *, rounds: int) -> None:
    clock = ProcessorClock()
    times: dict[Read, list[float]] = {long: [], short: []}
    for _ in range(rounds):
        for read, taken in times.items():
            began = clock.seconds()
            read()
            taken.append(1000 * (clock.seconds() - began))
    ours, others = (statistics.median(taken) for taken in times.values())
    print(f"{name:24} {ours:7.1f} ms, the short thread {others:6.1f} ms: {ours / others:5.1f} times", flush=True)


if __name__ == "__main__":
    main()
