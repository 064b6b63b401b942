"""A fan-out in chunks, by a worker process that is killed between and within chunks."""

from __future__ import annotations

import os
from collections.abc import Callable

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from events.models import Delivery, OutboxMessage
from events.testing import emitted
from feeds.events import FanoutContinued
from feeds.home_feed.recipients import RECIPIENTS_PER_CHUNK
from feeds.models import FeedEntry, Follow, User
from tests.conformance.processes import Manage, database_url
from tests.support.factories import PostFactory, UserFactory

FAN_OUT = "feeds.fan_out_post"


def done_deliveries() -> list[tuple]:
    """The deliveries of the chunks that are done."""
    return list(Delivery.objects.filter(subscriber=FAN_OUT, state="done").order_by("pk").values_list())


def worker(manage: Manage):
    queue = f"{os.environ.get('MQ_QUEUE_PREFIX', 'airy.')}{FAN_OUT}"
    options = ("--processes", "1", "--threads", "2", "--queues", queue)
    return manage("rundramatiq", *options, FANOUT_THRESHOLD=str(4 * RECIPIENTS_PER_CHUNK))


def is_waited_for(session: psycopg.Connection) -> bool:
    """Whether another session waits for a lock of this session."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", [session.info.backend_pid]
        )
        return cursor.fetchone()[0] > 0


@pytest.mark.postgres
@pytest.mark.rabbitmq
def test_a_killed_fan_out_goes_on_with_the_chunk_it_was_in(manage: Manage, eventually: Callable[..., None]) -> None:
    author = UserFactory()
    followers = User.objects.bulk_create(
        User(username=f"follower{n}", username_folded=f"follower{n}") for n in range(3 * RECIPIENTS_PER_CHUNK + 10)
    )
    Follow.objects.bulk_create(Follow(follower=one, followee=author) for one in followers)
    post = PostFactory(author=author)
    in_third = followers[2 * RECIPIENTS_PER_CHUNK + RECIPIENTS_PER_CHUNK // 2]

    with psycopg.connect(database_url()) as session:
        # An insert of the same entry by the worker waits until this transaction ends.
        session.execute(
            "INSERT INTO feeds_feedentry (user_id, published_at, post_id, author_id) VALUES (%s, %s, %s, %s)",
            (in_third.pk, post.published_at, post.pk, author.pk),
        )
        first = worker(manage)
        eventually(lambda: is_waited_for(session), within=120)
        assert FeedEntry.objects.count() == 2 * RECIPIENTS_PER_CHUNK
        finished = done_deliveries()
        assert len(finished) == 2
        manage.kill(first)
        # If a finished chunk ran again, it would insert this entry again.
        FeedEntry.objects.get(user=followers[7]).delete()
        session.rollback()

    worker(manage)
    eventually(lambda: Delivery.objects.filter(subscriber=FAN_OUT, state="done").count() == 4, within=120)
    reached = set(FeedEntry.objects.filter(post=post).values_list("user_id", flat=True))
    assert reached == {one.pk for one in followers} - {followers[7].pk}
    assert done_deliveries()[:2] == finished
    ends = [event.after_follower_id for event in emitted(FanoutContinued)]
    assert ends == [followers[n * RECIPIENTS_PER_CHUNK - 1].pk for n in (1, 2, 3)]
    assert not OutboxMessage.objects.filter(subscriber=FAN_OUT, due__gt=timezone.now()).exists()
