"""Votes counted on RabbitMQ and PostgreSQL: `count_votes` beside plain dramatiq and celery, whose users count each vote
in a transaction of its own, under the lock of its post's counts.

All do the same: count a vote once however often it is delivered, move counts, score and rank, and lead to one message
for the post's author, which waits in its queue. Each side has its votes waiting in its queue (ours went through the
log, the outbox and the relay), then one worker process starts, for ours with the relay beside it. The clock runs from
the moment the first counts are visible in the database to the one when all are; what was visible first is taken off.
Then every count is compared with the votes, and the messages are counted. Rounds are interleaved, their order turned
round from one to the next; the ratio of the medians is printed.

    pip install -r requirements.txt -r benchmarks/requirements.txt
    python -m benchmarks.votes [--votes 20000] [--peer-votes 20000] [--rounds 3] [--threads 4] [--peer-threads 8]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.place import own_place

PLACE = "airy_bench_votes"
#: A side that takes longer for its round has failed.
PATIENCE = 900.0
BOUNDS = {"plain dramatiq": 10, "celery": 20}

Votes = list[tuple[int, str]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--votes", type=int, default=20_000)
    arguments.add_argument("--peer-votes", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--posts", type=int, default=200)
    arguments.add_argument("--threads", type=int, default=4, help="of our worker")
    arguments.add_argument("--peer-threads", type=int, default=8, help="of each peer's worker")
    options = arguments.parse_args()
    with own_place(PLACE):
        measure(options.votes, options.peer_votes, options.rounds, options.posts, options.threads, options.peer_threads)


def measure(votes: int, peer_votes: int, rounds: int, posts: int, threads: int, peer_threads: int) -> None:
    from feeds.models import User

    prepare()
    users = User.objects.bulk_create(
        [User(username=f"voter{n}", username_folded=f"voter{n}") for n in range(max(votes, peer_votes))],
        batch_size=2000,
    )
    voters = [user.pk for user in users]
    sides: dict[str, Callable[[int], float]] = {
        "ours": lambda seed: by_us(zipf(new_posts(voters[0], posts), votes, seed), voters, threads),
        "plain dramatiq": lambda seed: by_peer(
            "dramatiq", new_posts(voters[0], posts), voters, peer_votes, seed, peer_threads
        ),
        "celery": lambda seed: by_peer("celery", new_posts(voters[0], posts), voters, peer_votes, seed, peer_threads),
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sorted(sides, reverse=bool(number % 2)):
            rates[name].append(sides[name](number))
            print(f"round {number + 1}: {name:15} {rates[name][-1]:8.0f} votes/s, counts exact", flush=True)
    for name, bound in BOUNDS.items():
        ratio = statistics.median(rates["ours"]) / statistics.median(rates[name])
        each = [ours / theirs for ours, theirs in zip(rates["ours"], rates[name], strict=True)]
        print(f"ours / {name}: {ratio:.1f} (rounds {min(each):.1f} to {max(each):.1f}; at least {bound})")


def prepare() -> None:
    """The peers' tables, and our queues bound before anything is published."""
    import dramatiq
    from django.db import connection

    from benchmarks.voting.tally import Counted, Tally
    from events.brokers.rabbitmq import declare

    with connection.schema_editor() as editor:
        editor.create_model(Tally)
        editor.create_model(Counted)
    broker = dramatiq.get_broker()
    with channel() as wire:
        declare(wire, broker, list(broker.subscriptions.values()))


def new_posts(author_id: int, count: int) -> list[int]:
    from django.utils import timezone

    from feeds.models import Post

    rows = [Post(author_id=author_id, title=f"Post {n}", published_at=timezone.now()) for n in range(count)]
    return [post.pk for post in Post.objects.bulk_create(rows)]


def zipf(posts: list[int], votes: int, seed: int) -> Votes:
    """Votes of which the n-th post gets a share of 1/n, four of five of them up."""
    dice = random.Random(seed)
    weights = [1 / (n + 1) for n in range(len(posts))]
    chosen = dice.choices(posts, weights, k=votes)
    return [(post_id, dice.choice(("up", "up", "up", "up", "down"))) for post_id in chosen]


def by_us(votes: Votes, voters: list[int], threads: int) -> float:
    import dramatiq
    from django.db import connection, transaction

    from events.models import Delivery, OutboxMessage, StoredEvent
    from feeds.models import EntityCounts, Vote
    from feeds.signals import emit_for_new_rows

    rows = [
        Vote(user_id=user_id, entity_type="post", entity_id=post_id, vote_type=vote_type)
        for user_id, (post_id, vote_type) in zip(voters, votes, strict=False)
    ]
    with transaction.atomic():
        emit_for_new_rows(Vote.objects.bulk_create(rows, batch_size=2000))
    counts = EntityCounts.objects.filter(entity_type="post", entity_id__in={post_id for post_id, _ in votes})
    queue = f"{os.environ.get('MQ_QUEUE_PREFIX', 'airy.')}feeds.count_votes"
    worker = ("manage.py", "rundramatiq", "--processes", "1", "--threads", str(threads), "--queues", queue)
    with process("manage.py", "relay") as wait_until:
        wait_until(lambda: not OutboxMessage.objects.exists())
        rate = timed(worker, counts, len(votes))
    compare(votes, counts.values_list("entity_id", "upvotes", "downvotes", "score"))
    done = Delivery.objects.filter(subscriber="feeds.count_votes", state="done").count()
    if done != len(votes):
        raise SystemExit(f"{done} deliveries are done of {len(votes)}")
    told = StoredEvent.objects.filter(topic="post.voted").count()
    if told != len(votes):
        raise SystemExit(f"{told} events were emitted for {len(votes)} votes")
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE events_storedevent, events_outboxmessage, events_delivery, feeds_vote, feeds_uncounted CASCADE"
        )
    with channel() as wire:
        for name in dramatiq.get_broker().subscriptions:
            wire.queue_purge(name)
    return rate


def by_peer(name: str, posts: list[int], voters: list[int], count: int, seed: int, threads: int) -> float:
    from benchmarks.voting.tally import Counted, Tally

    Counted.objects.all().delete()
    Tally.objects.all().delete()
    Tally.objects.bulk_create([Tally(post_id=post_id) for post_id in posts])
    votes = zipf(posts, count, seed)
    queue, told = f"votes_by_{name}", f"told_by_{name}"
    if name == "dramatiq":
        module = "benchmarks.voting.plain_dramatiq"
        worker: tuple[str, ...] = ("-m", "dramatiq", module, "--processes", "1", "--threads", str(threads))
        worker = (*worker, "--queues", queue)
    else:
        module = "benchmarks.voting.plain_celery"
        worker = ("-m", "celery", "-A", module, "worker", "--pool", "threads", "--concurrency", str(threads))
        worker = (*worker, "--without-gossip", "--without-mingle", "--loglevel", "ERROR", "--queues", queue)
    send(module, [(number, post_id, voters[number], vote) for number, (post_id, vote) in enumerate(votes)])
    rate = timed(worker, Tally.objects.all(), count)
    compare(votes, Tally.objects.values_list("post_id", "upvotes", "downvotes", "score"))
    with channel() as wire:
        messages = wire.queue_purge(told).method.message_count
    if messages != count:
        raise SystemExit(f"{messages} messages were sent for {count} votes")
    return rate


def send(module: str, votes: list[tuple[int, int, int, str]]) -> None:
    """In a process of its own: a broker of dramatiq is one for all that a process imports."""
    script = f"import json, sys; from {module} import send; send(json.load(sys.stdin))"
    subprocess.run((sys.executable, "-c", script), input=json.dumps(votes), text=True, check=True)


def timed(worker: tuple[str, ...], counts: object, expected: int) -> float:
    """Votes per second of a worker process, from the first visible ones to the last."""
    from django.db.models import F, Sum

    def seen() -> int:
        return counts.aggregate(n=Sum(F("upvotes") + F("downvotes")))["n"] or 0  # type: ignore[attr-defined]

    with process(*worker) as wait_until:
        wait_until(lambda: seen() > 0)
        began, first = time.perf_counter(), seen()
        wait_until(lambda: seen() >= expected)
        return (expected - first) / (time.perf_counter() - began)


def compare(votes: Votes, counts: object) -> None:
    """Raises SystemExit unless every count is that of the votes."""
    given = Counter(votes)
    true = {
        post_id: (up := given[post_id, "up"], down := given[post_id, "down"], up - down)
        for post_id in {post_id for post_id, _ in votes}
    }
    held = {post_id: tuple(numbers) for post_id, *numbers in counts}  # type: ignore[attr-defined]
    wrong = {post_id: (held.get(post_id), numbers) for post_id, numbers in true.items() if held.get(post_id) != numbers}
    if wrong:
        raise SystemExit(f"counts are not exact (held, true): {wrong}")


@contextmanager
def process(*arguments: str) -> Iterator[Callable[[Callable[[], object]], None]]:
    """A Python process of its own, ended by SIGTERM on leaving; gives a function that waits for what it brings about.

    Raises SystemExit with what the process said, if it ends early or takes too long.
    """
    with tempfile.TemporaryFile("w+") as said:
        running = subprocess.Popen((sys.executable, *arguments), stdout=said, stderr=said, start_new_session=True)

        def wait_until(condition: Callable[[], object]) -> None:
            deadline = time.monotonic() + PATIENCE
            while not condition():
                if running.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    raise SystemExit(f"{said.read()[-3000:]}\n{' '.join(arguments)} did not do its work")
                time.sleep(0.005)

        try:
            yield wait_until
        finally:
            running.terminate()
            try:
                running.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()


@contextmanager
def channel() -> Iterator[object]:
    import dramatiq
    import pika

    with pika.BlockingConnection(dramatiq.get_broker().parameters) as connection:
        yield connection.channel()


if __name__ == "__main__":
    main()
