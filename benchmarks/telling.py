"""Telling many, and one: `notify` with its push beside the cheapest that writes the same rows.

telling: one post to all its followers, in chunks as the subscriber takes them. The peer saves the rows alone, one by
one in one transaction: it knows each number before, looks at nothing, and advances the streams by one statement.
notify: one notice and its push. The peer inserts such a row, each in a transaction of its own, and publishes a text of
the same length. Processor time is that of this process with all its threads, and of its session on the server.
Both take turns within one run, on a database and a Redis of their own.

    python -m benchmarks.telling [--rounds 5] [--followers 10000] [figure ...]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg
import redis

from benchmarks.flood import running_redis
from benchmarks.processor import ProcessorClock
from benchmarks.ratio import print_ratio
from benchmarks.services import temporary_services

NAME = "airy_bench_telling"
#: Bytes of a hint as it leaves.
LENGTH = 330
#: The id of the author whom all follow.
AUTHOR: list[int] = []
#: One notice more for each call.
numbers = itertools.count(1)


def telling_airy(people: Sequence[int], url: str, options: argparse.Namespace) -> dict[str, float]:
    """All are told, in chunks; then the hints leave."""
    from events.pool import get_pool
    from notifications.notices.notices import NOTICES_PER_TRANSACTION, notify

    number, begun = next(numbers), time.monotonic()
    for start in range(0, len(people), NOTICES_PER_TRANSACTION):
        notify(notices(people[start : start + NOTICES_PER_TRANSACTION], number))
    committed = time.monotonic() - begun
    wait_until(lambda: get_pool().running == 0)
    return {"s to tell all": committed, "s until the last hint has left": time.monotonic() - begun}


def telling_peer(people: Sequence[int], url: str, options: argparse.Namespace) -> dict[str, float]:
    """The row of each is saved, and the streams advance."""
    from django.db import transaction
    from django.db.models import F

    from notifications.models import Notification, Stream

    number = next(numbers)
    seqs = dict(Stream.objects.values_list("user_id", "seq"))
    begun = time.monotonic()
    with transaction.atomic():
        for notice in notices(people, number):
            Notification(
                user_id=notice.user_id,
                seq=seqs[notice.user_id] + 1,
                kind=notice.kind,
                group_key=notice.key,
                data=notice.data,
                post_id=notice.data["post_id"],
            ).save()
        Stream.objects.update(seq=F("seq") + 1, unread=F("unread") + 1)
    seconds = time.monotonic() - begun
    return {"s to tell all": seconds, "s until the last hint has left": seconds}


def notify_airy(people: Sequence[int], url: str, options: argparse.Namespace) -> dict[str, float]:
    """One notice each, and its hint."""
    from events.pool import get_pool
    from notifications.notices.notices import notify

    warming, told = one_each(people[:50]), one_each(people[: options.calls])
    for notice in warming:
        notify([notice])
    wait_until(lambda: get_pool().running == 0)
    clock = ProcessorClock()
    both, own = clock.seconds(), time.process_time()
    for notice in told:
        notify([notice])
    wait_until(lambda: get_pool().running == 0)
    return per_call(clock.seconds() - both, time.process_time() - own, options.calls)


def notify_peer(people: Sequence[int], url: str, options: argparse.Namespace) -> dict[str, float]:
    """One row each, and a text."""
    from django.utils import timezone

    from notifications.models import Notification, Stream

    insert = (
        f'INSERT INTO "{Notification._meta.db_table}" (user_id, seq, kind, group_key, data, post_id, created_at,'
        " updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
    )
    seqs = dict(Stream.objects.values_list("user_id", "seq"))
    channel = redis.Redis.from_url(url)
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=0) as session:

        def tell(notice: Any) -> None:
            who, data, now = notice.user_id, json.dumps(notice.data), timezone.now()
            seqs[who] += 1
            values = (who, seqs[who], notice.kind, notice.key, data, notice.data["post_id"], now, now)
            session.execute(insert, values)
            channel.publish(f"{NAME}__group__user.{who}", data.ljust(LENGTH))

        warming, told = one_each(people[:50]), one_each(people[: options.calls])
        for notice in warming:
            tell(notice)
        backend = Path(f"/proc/{session.info.backend_pid}/schedstat")
        both, own = processor_seconds(backend), time.process_time()
        for notice in told:
            tell(notice)
        found = per_call(processor_seconds(backend) - both, time.process_time() - own, options.calls)
    for who in people[: options.calls]:
        unread = Notification.objects.filter(user=who).count()
        Stream.objects.filter(user=who).update(seq=seqs[who], unread=unread)
    return found


def one_each(people: Sequence[int]) -> list[Any]:
    """A notice for each, all of different posts."""
    return [notice for who in people for notice in notices([who], next(numbers))]


def processor_seconds(backend: Path) -> float:
    return time.process_time() + int(backend.read_text().split()[0]) / 1e9


def per_call(both: float, own: float, calls: int) -> dict[str, float]:
    return {"ms of processor time": own / calls * 1000, "ms of processor time, session included": both / calls * 1000}


def notices(people: Sequence[int], number: int) -> list[Any]:
    """The notice of one new post for each, as the subscriber makes it."""
    from notifications.kinds import POST

    return list(POST.notices(post_of(number), to=people))


def post_of(number: int) -> Any:
    """A post that is not the only one of its author. Only its id is another one each time."""
    from feeds.models import Post, User

    author = User(pk=AUTHOR[0], username="writer")
    return Post(pk=number, author=author, title="A title of a usual length, as people write them", status="published")


def wait_until(condition: Callable[[], bool]) -> None:
    """Raises TimeoutError after a minute."""
    time_limit = time.monotonic() + 60
    while not condition():
        if time.monotonic() > time_limit:
            raise TimeoutError
        time.sleep(0.0005)


Arm = Callable[[Sequence[int], str, argparse.Namespace], dict[str, float]]
#: With the bounds of the ratios, in the order of the numbers.
FIGURES: dict[str, tuple[Arm, Arm, list[str]]] = {
    "telling": (telling_airy, telling_peer, ["at most 0.1", "reported"]),
    "notify": (notify_airy, notify_peer, ["at most 5", "reported"]),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("figures", nargs="*", choices=[*FIGURES, []], help="all by default")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--followers", type=int, default=10_000)
    arguments.add_argument("--calls", type=int, default=500)
    options = arguments.parse_args()
    with running_redis() as (_, url), temporary_services(NAME, REDIS_URL=url, REDIS_PREFIX=NAME):
        people = make_people(options.followers)
        for name in options.figures or FIGURES:
            measure(name, people, url, options)
        check(people)


def measure(name: str, people: Sequence[int], url: str, options: argparse.Namespace) -> None:
    """Run a figure for both arms in turn, and print its ratios."""
    ours, peer, bounds = FIGURES[name]
    found: dict[Arm, dict[str, list[float]]] = {ours: {}, peer: {}}
    for number in range(options.rounds):
        arms = [ours, peer]
        random.Random(number).shuffle(arms)
        for arm in arms:
            for what, value in arm(people, url, options).items():
                found[arm].setdefault(what, []).append(value)
    for (what, of_airy), bound in zip(found[ours].items(), bounds, strict=True):
        of_peer = found[peer][what]
        print(f"{name}, {what}: airy {spread(of_airy)}, peer {spread(of_peer)}", flush=True)
        print_ratio(f"  {name}, {what}, airy to peer", of_airy, of_peer, bound)


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g}..{max(values):.3g})"


def make_people(count: int) -> list[int]:
    """Users with a stream each, who follow one author: their ids."""
    from django.db import connection

    from feeds.models import Post, User
    from notifications.models import Stream

    users = User.objects.bulk_create(
        [User(username=name, username_folded=name) for name in ["writer", *(f"person{one}" for one in range(count))]]
    )
    AUTHOR[:] = [users[0].pk]
    Post.objects.bulk_create([Post(author=users[0], title=f"T{number}") for number in range(1_000)])
    people = [user.pk for user in users[1:]]
    Stream.objects.bulk_create([Stream(user_id=who) for who in people])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return people


def check(people: Sequence[int]) -> None:
    """Every stream counts exactly its rows, and its numbers have no hole."""
    from django.db.models import Count, Max

    from notifications.models import Notification, Stream

    rows = Notification.objects.values("user_id").annotate(count=Count("pk"), highest=Max("seq"))
    found = {row["user_id"]: (row["highest"], row["count"], row["count"]) for row in rows}
    streams = {stream.user_id: (stream.seq, stream.unread, stream.seq) for stream in Stream.objects.all()}
    assert {who: streams[who] for who in found} == found, "a stream and its rows differ"


if __name__ == "__main__":
    main()
