"""Counting votes on RabbitMQ and PostgreSQL: Airy's `count_votes` beside plain dramatiq and celery, which count each
vote in a transaction of its own, with the row of the post's counts locked.

All three do the same work: count a vote once, even if it is delivered twice; update counts, score and rank; and send
one message for the post's author, which stays in its queue. First the votes are put into the system's queue (Airy's
through log, outbox and relay), then one worker process starts, Airy's with its relay. The rate in votes per second is
measured from the time when the first counts are visible in the database until all are, without those that were visible
first. Then every count is compared with the votes, and the messages are counted. The systems take turns, and their
order is reversed from round to round. Prints each rate, and the ratios of the medians.

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

from benchmarks.services import temporary_services

NAME = "airy_bench_votes"
#: Seconds after which a wait for a system fails the benchmark.
TIMEOUT = 900.0
#: Required ratio of Airy's rate to the rate of the other system.
BOUNDS = {"plain dramatiq": 10, "celery": 20}

Votes = list[tuple[int, str]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--votes", type=int, default=20_000)
    arguments.add_argument("--peer-votes", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--posts", type=int, default=200)
    arguments.add_argument("--threads", type=int, default=4, help="of Airy's worker")
    arguments.add_argument("--peer-threads", type=int, default=8, help="of each peer's worker")
    options = arguments.parse_args()
    with temporary_services(NAME):
        measure(options.votes, options.peer_votes, options.rounds, options.posts, options.threads, options.peer_threads)


def measure(votes: int, peer_votes: int, rounds: int, posts: int, threads: int, peer_threads: int) -> None:
    from feeds.models import User

    prepare()
    users = User.objects.bulk_create(
        [User(username=f"voter{n}", username_folded=f"voter{n}") for n in range(max(votes, peer_votes))],
        batch_size=2000,
    )
    voters = [user.pk for user in users]
    systems: dict[str, Callable[[int], float]] = {
        "airy": lambda seed: by_airy(zipf(new_posts(voters[0], posts), votes, seed), voters, threads),
        "plain dramatiq": lambda seed: by_peer(
            "dramatiq", new_posts(voters[0], posts), voters, peer_votes, seed, peer_threads
        ),
        "celery": lambda seed: by_peer("celery", new_posts(voters[0], posts), voters, peer_votes, seed, peer_threads),
    }
    rates: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(rounds):
        for name in sorted(systems, reverse=bool(number % 2)):
            rates[name].append(systems[name](number))
            print(f"round {number + 1}: {name:15} {rates[name][-1]:8.0f} votes/s, counts exact", flush=True)
    for name, bound in BOUNDS.items():
        ratio = statistics.median(rates["airy"]) / statistics.median(rates[name])
        each = [airy / other for airy, other in zip(rates["airy"], rates[name], strict=True)]
        print(f"airy / {name}: {ratio:.1f} (rounds {min(each):.1f} to {max(each):.1f}; at least {bound})")


def prepare() -> None:
    """Create the peers' tables, and declare Airy's queues before anything is published."""
    import dramatiq
    from django.db import connection

    from benchmarks.vote_peers.vote_counts import CountedVote, VoteCounts
    from events.brokers.amqp.declare import declare

    with connection.schema_editor() as editor:
        editor.create_model(VoteCounts)
        editor.create_model(CountedVote)
    broker = dramatiq.get_broker()
    with channel() as amqp:
        declare(amqp, broker, list(broker.subscriptions.values()))


def new_posts(author_id: int, count: int) -> list[int]:
    from django.utils import timezone

    from feeds.models import Post

    rows = [Post(author_id=author_id, title=f"Post {n}", published_at=timezone.now()) for n in range(count)]
    return [post.pk for post in Post.objects.bulk_create(rows)]


def zipf(posts: list[int], votes: int, seed: int) -> Votes:
    """Random votes: the n-th post gets a share in proportion to 1/n, and four of five votes are up."""
    rng = random.Random(seed)
    weights = [1 / (n + 1) for n in range(len(posts))]
    chosen = rng.choices(posts, weights, k=votes)
    return [(post_id, rng.choice(("up", "up", "up", "up", "down"))) for post_id in chosen]


def by_airy(votes: Votes, voters: list[int], threads: int) -> float:
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
    emitted = StoredEvent.objects.filter(topic="post.voted").count()
    if emitted != len(votes):
        raise SystemExit(f"{emitted} events were emitted for {len(votes)} votes")
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE events_storedevent, events_outboxmessage, events_delivery, feeds_vote, feeds_uncounted CASCADE"
        )
    with channel() as amqp:
        for name in dramatiq.get_broker().subscriptions:
            amqp.queue_purge(name)
    return rate


def by_peer(name: str, posts: list[int], voters: list[int], count: int, seed: int, threads: int) -> float:
    from benchmarks.vote_peers.vote_counts import CountedVote, VoteCounts

    CountedVote.objects.all().delete()
    VoteCounts.objects.all().delete()
    VoteCounts.objects.bulk_create([VoteCounts(post_id=post_id) for post_id in posts])
    votes = zipf(posts, count, seed)
    queue, notices = f"votes_by_{name}", f"notices_by_{name}"
    if name == "dramatiq":
        module = "benchmarks.vote_peers.plain_dramatiq"
        worker: tuple[str, ...] = ("-m", "dramatiq", module, "--processes", "1", "--threads", str(threads))
        worker = (*worker, "--queues", queue)
    else:
        module = "benchmarks.vote_peers.plain_celery"
        worker = ("-m", "celery", "-A", module, "worker", "--pool", "threads", "--concurrency", str(threads))
        worker = (*worker, "--without-gossip", "--without-mingle", "--loglevel", "ERROR", "--queues", queue)
    send(module, [(number, post_id, voters[number], vote) for number, (post_id, vote) in enumerate(votes)])
    rate = timed(worker, VoteCounts.objects.all(), count)
    compare(votes, VoteCounts.objects.values_list("post_id", "upvotes", "downvotes", "score"))
    with channel() as amqp:
        messages = amqp.queue_purge(notices).method.message_count
    if messages != count:
        raise SystemExit(f"{messages} messages were sent for {count} votes")
    return rate


def send(module: str, votes: list[tuple[int, int, int, str]]) -> None:
    """Send from a process of its own, because dramatiq has one global broker per process."""
    script = f"import json, sys; from {module} import send; send(json.load(sys.stdin))"
    subprocess.run((sys.executable, "-c", script), input=json.dumps(votes), text=True, check=True)


def timed(worker: tuple[str, ...], counts: object, expected: int) -> float:
    """Votes per second of a worker process, from the first visible counts until all are visible."""
    from django.db.models import F, Sum

    def visible() -> int:
        return counts.aggregate(n=Sum(F("upvotes") + F("downvotes")))["n"] or 0  # type: ignore[attr-defined]

    with process(*worker) as wait_until:
        wait_until(lambda: visible() > 0)
        began, first = time.perf_counter(), visible()
        wait_until(lambda: visible() >= expected)
        return (expected - first) / (time.perf_counter() - began)


def compare(votes: Votes, counts: object) -> None:
    """Raise SystemExit unless every count equals the number of votes."""
    number = Counter(votes)
    expected = {
        post_id: (up := number[post_id, "up"], down := number[post_id, "down"], up - down)
        for post_id in {post_id for post_id, _ in votes}
    }
    actual = {post_id: tuple(numbers) for post_id, *numbers in counts}  # type: ignore[attr-defined]
    wrong = {
        post_id: (actual.get(post_id), numbers)
        for post_id, numbers in expected.items()
        if actual.get(post_id) != numbers
    }
    if wrong:
        raise SystemExit(f"counts are not exact (actual, expected): {wrong}")


@contextmanager
def process(*arguments: str) -> Iterator[Callable[[Callable[[], object]], None]]:
    """Run a Python process until the end of the block; gives a function that waits until a condition holds.

    That function raises SystemExit with the output of the process if it ends early or after TIMEOUT seconds.
    """
    with tempfile.TemporaryFile("w+") as output:
        running = subprocess.Popen((sys.executable, *arguments), stdout=output, stderr=output, start_new_session=True)

        def wait_until(condition: Callable[[], object]) -> None:
            deadline = time.monotonic() + TIMEOUT
            while not condition():
                if running.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    raise SystemExit(f"{output.read()[-3000:]}\n{' '.join(arguments)} ended early or took too long")
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
