"""Tally: the peers' counts, kept as their users keep them: a row lock and a transaction for each vote.

A vote does here what it does on our side: it is counted once however often it is delivered, moves counts, score and
rank, and leads to a message that tells the post's author. (That message goes out after the commit, so a crash between
the two loses it; ours is in the transaction.)
"""

from __future__ import annotations

import os
from collections.abc import Callable

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airy.settings")
django.setup()

from django.conf import settings  # noqa: E402 - Django first
from django.db import IntegrityError, models, transaction  # noqa: E402

from feeds.models import Post  # noqa: E402
from feeds.ranking import hot  # noqa: E402

BROKER_URL = (
    f"amqp://{settings.MQ_USER}:{settings.MQ_PASSWORD}@{settings.MQ_HOST}:{settings.MQ_PORT}/{settings.MQ_VHOST}"
)


class Tally(models.Model):
    """The votes on one post."""

    post = models.OneToOneField(Post, models.CASCADE, primary_key=True, related_name="+")
    upvotes = models.IntegerField(default=0)
    downvotes = models.IntegerField(default=0)
    score = models.IntegerField(default=0)
    hot = models.FloatField(default=0, db_index=True)

    class Meta:
        app_label = "feeds"
        db_table = "benchmark_tally"


class Counted(models.Model):
    """A vote that is counted."""

    vote_id = models.BigIntegerField(primary_key=True)

    class Meta:
        app_label = "feeds"
        db_table = "benchmark_counted"


def count_vote(vote_id: int, post_id: int, user_id: int, vote_type: str, *, tell: Callable[..., object]) -> None:
    """Count one vote, unless that is done, and send `tell` the post, its author, the voter and the vote."""
    try:
        with transaction.atomic():
            Counted.objects.create(vote_id=vote_id)
            tally = Tally.objects.select_for_update(of=("self",)).select_related("post").get(pk=post_id)
            if vote_type == "up":
                tally.upvotes += 1
            else:
                tally.downvotes += 1
            tally.score = tally.upvotes - tally.downvotes
            tally.hot = hot(tally.upvotes, tally.downvotes, tally.post.published_at.timestamp())
            tally.save(update_fields=["upvotes", "downvotes", "score", "hot"])
            transaction.on_commit(lambda: tell(post_id, tally.post.author_id, user_id, vote_type))
    except IntegrityError:
        pass  # delivered again
