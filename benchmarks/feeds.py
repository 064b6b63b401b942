"""Feeds with millions of entries, on PostgreSQL. Three measurements:

1. Fan-out to 10,000 followers, in entries per second, beside one bare `INSERT … SELECT … ON CONFLICT` into the same
   table. Airy's fan-out works in chunks: each is a recorded delivery, skips inactive readers and emits the events of
   the next chunk and of trimming. The ratio is printed without and with the time of trimming.
2. A post of an author whom everyone follows: the rows and milliseconds it takes, and whether 200 readers find it.
3. Reading: the first page beside the page after 380 posts of the feed and after 1,000 posts of hot, in milliseconds.

The two sides take turns, and their order is reversed from round to round. Ratios are ratios of medians.

    python -m benchmarks.feeds [--readers 25000] [--users 1000000] [--followers 10000] [--rounds 7] [--pages 60]
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.feed_data import FEED_POSTS, FOLLOWED, FeedData
from benchmarks.ratio import print_ratio
from benchmarks.services import temporary_services

FAN_OUT, TRIM = "feeds.fan_out_post", "feeds.trim_feeds"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--readers", type=int, default=25_000, help="users with 400 feed entries each")
    arguments.add_argument(
        "--users", type=int, default=1_000_000, help="users who all follow one author; at least readers + 4,000 authors"
    )
    arguments.add_argument("--followers", type=int, default=10_000, help="followers of the measured author")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--pages", type=int, default=60, help="readers who read both pages")
    options = arguments.parse_args()
    with temporary_services("airy_bench_feeds"):
        data = FeedData(readers=options.readers, users=options.users)
        began = time.perf_counter()
        data.insert()
        data.follow(options.followers)
        print(
            f"{data.readers * FEED_POSTS * FOLLOWED:,} feed entries in {time.perf_counter() - began:.0f} s", flush=True
        )
        fan_out(data, options.followers, options.rounds)
        popular_post(data)
        read(data, options.pages)


# Writing ---------------------------------------------------------------------------------------------------------


def fan_out(data: FeedData, followers: int, rounds: int) -> None:
    from feeds.models import FeedEntry

    trimming: list[float] = []

    def airy(post: Any) -> float:
        seconds = deliver(published(post))
        trimming.append(seconds[TRIM])
        return seconds[FAN_OUT]

    sides: dict[str, Callable[[Any], float]] = {"airy": airy, "bare": bare}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name in sorted(sides, reverse=bool(number % 2)):
            post = new_post(data.measured_author)
            rates[name].append(followers / sides[name](post))
            if (reached := FeedEntry.objects.filter(author_id=data.measured_author, post=post).count()) != followers:
                raise SystemExit(f"{name}: {reached} of {followers} followers reached")
    for name, each in rates.items():
        del each[0]  # the first round warms up
        print(f"fan-out to {followers:,}, {name}: {statistics.median(each):,.0f} entries/s")
    print_ratio("fan-out / bare INSERT … SELECT … ON CONFLICT", rates["airy"], rates["bare"], "at least 0.6")
    with_trimming = [1 / (1 / rate + took / followers) for rate, took in zip(rates["airy"], trimming[1:], strict=True)]
    print_ratio("the same, including the time of trimming", with_trimming, rates["bare"], "reported only")


def new_post(author_id: int) -> Any:
    from django.utils import timezone

    from feeds.models import Post

    return Post.objects.bulk_create([Post(author_id=author_id, title="A title", published_at=timezone.now())])[0]


def bare(post: Any) -> float:
    from django.db import connection

    with connection.cursor() as cursor:
        began = time.perf_counter()
        cursor.execute(
            "INSERT INTO feeds_feedentry (user_id, published_at, post_id, author_id)"
            " SELECT follower_id, %s, %s, %s FROM feeds_follow WHERE followee_id = %s ON CONFLICT DO NOTHING",
            [post.published_at, post.pk, post.author_id, post.author_id],
        )
        return time.perf_counter() - began


def published(post: Any) -> Any:
    from feeds.events import PostPublished

    return PostPublished(post_id=post.pk, author_id=post.author_id, circle_id=post.circle_id, title=post.title)


def deliver(event: Any) -> dict[str, float]:
    """Seconds in the deliveries of the two subscribers, with those of later chunks; no other subscriber runs."""
    from django.db import transaction

    from events.bus import emit
    from events.testing import run, take

    with transaction.atomic():
        emit(event)
    took = {FAN_OUT: 0.0, TRIM: 0.0}
    while work := take():
        for name in took.keys() & work.keys():
            began = time.perf_counter()
            run(name, work[name])
            took[name] += time.perf_counter() - began
    return took


def popular_post(data: FeedData) -> None:
    from feeds.lists.home import list_home_feed
    from feeds.models import FeedEntry, PulledPost, User

    post = new_post(data.popular_author)
    took = deliver(published(post))[FAN_OUT]
    entries = FeedEntry.objects.filter(user__lte=1000, post=post).count()
    print(
        f"a post to {data.users:,} followers: {PulledPost.objects.count()} row, {entries} entries, {took * 1000:.0f} ms"
    )
    for reader_id in random.Random(1).sample(range(1, data.users + 1), 200):
        if list_home_feed(User.objects.get(pk=reader_id)).items[0] != post:
            raise SystemExit(f"reader {reader_id} does not find the post")
    print("200 of them, drawn at random, find it at the top of their feeds at once")


# Reading ---------------------------------------------------------------------------------------------------------


def read(data: FeedData, pages: int) -> None:
    from feeds.lists.home import list_home_feed
    from feeds.lists.posts import list_posts
    from feeds.models import User

    readers = list(User.objects.filter(pk__in=random.Random(2).sample(range(1, data.readers + 1), pages)))

    def feed(reader: Any, **options: Any) -> Any:
        return list_home_feed(reader, **options)

    def hot(reader: Any, **options: Any) -> Any:
        return list_posts("hot", viewer=reader, **options)

    for what, page, depth in (("the feed", feed, 380), ("hot", hot, 1000)):
        compare_depths(what, page, depth, readers)


def compare_depths(what: str, page: Callable[..., Any], depth: int, readers: Sequence[Any]) -> None:
    """Each reader reads both pages in turns, after reading each once: a page that is not cached is slower."""
    times: dict[str, list[float]] = {"first": [], "deep": []}
    for number, reader in enumerate(readers):
        cursors = {"first": None, "deep": page(reader, size=depth).next_cursor}
        for side in cursors.values():
            page(reader, cursor=side)
        for side in sorted(cursors, reverse=bool(number % 2)):
            began = time.perf_counter()
            shown = page(reader, cursor=cursors[side])
            times[side].append(time.perf_counter() - began)
            if len(shown.items) != 20:
                raise SystemExit(f"{what}: a page of {len(shown.items)}")
    first, deep = (statistics.median(times[side]) * 1000 for side in ("first", "deep"))
    print(f"{what}: first page {first:.1f} ms, after {depth:,} {deep:.1f} ms (p50)")
    print_ratio(f"{what}, after {depth:,} / first page", times["deep"], times["first"], "at most 1.5")


if __name__ == "__main__":
    main()
