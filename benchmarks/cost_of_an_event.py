"""The cost of an event for its producer on PostgreSQL: saving a post with its event, beside the save alone and beside
the save and an unconfirmed dramatiq send. The actions take turns. Prints the median time of each in milliseconds per
post, and the median and the quartiles of the ratios of the single rounds.

    python -m benchmarks.cost_of_an_event [--rounds 20] [--posts 60]
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

from benchmarks.services import temporary_services


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--posts", type=int, default=60, help="posts of one round of one action")
    options = arguments.parse_args()
    with temporary_services("airy_bench_cost"):
        measure(options.rounds, options.posts)


def measure(rounds: int, posts: int) -> None:
    import dramatiq
    from django.db import models, transaction
    from django.utils import timezone
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    from feeds.models import Post, User

    class PlainPost(models.Model):
        """The same row of the same table, without events."""

        author = models.ForeignKey(User, models.DO_NOTHING, related_name="+")
        circle_id = models.BigIntegerField(null=True)
        title = models.CharField(max_length=300)
        body = models.TextField()
        status = models.CharField(max_length=9, default="published")
        published_at = models.DateTimeField(null=True)
        created_at = models.DateTimeField(default=timezone.now)
        updated_at = models.DateTimeField(default=timezone.now)
        deleted_at = models.DateTimeField(null=True)

        class Meta:
            app_label = "feeds"
            managed = False
            db_table = Post._meta.db_table

    author = User.objects.create(username="author")
    number = itertools.count()
    plain_broker = RabbitmqBroker(parameters=[broker_parameters()], middleware=[])

    @dramatiq.actor(broker=plain_broker, queue_name="plain")
    def react(post_id: int, author_id: int, title: str) -> None: ...

    plain_broker.declare_queue("plain", ensure=True)

    def fields() -> dict[str, object]:
        return {"author_id": author.pk, "title": f"Post {next(number)}", "body": "Some words of a post.\n" * 20}

    def save_alone() -> None:
        with transaction.atomic():
            PlainPost(published_at=timezone.now(), **fields()).save(force_insert=True)

    def save_and_send() -> None:
        with transaction.atomic():
            post = PlainPost(published_at=timezone.now(), **fields())
            post.save(force_insert=True)
        react.send(post.pk, author.pk, post.title)

    def save_with_event() -> None:
        Post(**fields()).save(force_insert=True)

    without_event = PlainPost(published_at=timezone.now(), **fields())
    without_event.save()
    with_event = Post.objects.create(**fields())

    def update_alone() -> None:
        with transaction.atomic():
            without_event.title = f"Post {next(number)}"
            without_event.save()

    def update_with_event() -> None:
        with_event.title = f"Post {next(number)}"
        with_event.save()

    def seconds(action: Callable[[], None]) -> float:
        """Seconds per call."""
        started = time.perf_counter()
        for _ in range(posts):
            action()
        return (time.perf_counter() - started) / posts

    actions = (save_alone, save_and_send, save_with_event, update_alone, update_with_event)
    for action in actions:
        seconds(action)
    times: dict[str, list[float]] = {action.__name__: [] for action in actions}
    for turn in range(rounds):
        for action in actions if turn % 2 else reversed(actions):
            times[action.__name__].append(seconds(action))
    for name, values in times.items():
        print(f"{name:18} {statistics.median(values) * 1e3:7.3f} ms")
    for ours, other, bound in (
        ("save_with_event", "save_alone", "at most 1.6"),
        ("save_with_event", "save_and_send", "at most 1.15"),
        ("update_with_event", "update_alone", "reported"),
    ):
        ratios = [a / b for a, b in zip(times[ours], times[other], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"{ours} / {other}: {middle:.2f} [{low:.2f}..{high:.2f}] ({bound})")
    plain_broker.close()


def broker_parameters() -> dict[str, object]:
    import pika
    from django.conf import settings

    return {
        "host": settings.MQ_HOST,
        "port": settings.MQ_PORT,
        "virtual_host": settings.MQ_VHOST,
        "credentials": pika.PlainCredentials(settings.MQ_USER, settings.MQ_PASSWORD),
    }


if __name__ == "__main__":
    main()
