"""VoteCounts: the counts of the peers, as their users keep them: one row lock and one transaction for each vote.

A vote does the same work as in Airy: it is counted once, even if it is delivered twice; it updates counts, score and
rank; and it sends a message for the post's author. (That message is sent after the commit, so a crash between the two
loses it; Airy stores it in the transaction.)
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


class VoteCounts(models.Model):
    """The votes on one post."""

    post = models.OneToOneField(Post, models.CASCADE, primary_key=True, related_name="+")
    upvotes = models.IntegerField(default=0)
    downvotes = models.IntegerField(default=0)
    score = models.IntegerField(default=0)
    hot = models.FloatField(default=0, db_index=True)

    class Meta:
        app_label = "feeds"
        db_table = "benchmark_vote_counts"


class CountedVote(models.Model):
    """A vote that has been counted."""

    vote_id = models.BigIntegerField(primary_key=True)

    class Meta:
        app_label = "feeds"
        db_table = "benchmark_counted_vote"


def count_vote(vote_id: int, post_id: int, user_id: int, vote_type: str, *, notify: Callable[..., object]) -> None:
    """Count one vote once, and call `notify` with the post, its author, the voter and the vote."""
    try:
        with transaction.atomic():
            CountedVote.objects.create(vote_id=vote_id)
            counts = VoteCounts.objects.select_for_update(of=("self",)).select_related("post").get(pk=post_id)
            if vote_type == "up":
                counts.upvotes += 1
            else:
                counts.downvotes += 1
            counts.score = counts.upvotes - counts.downvotes
            counts.hot = hot(counts.upvotes, counts.downvotes, counts.post.published_at.timestamp())
            counts.save(update_fields=["upvotes", "downvotes", "score", "hot"])
            transaction.on_commit(lambda: notify(post_id, counts.post.author_id, user_id, vote_type))
    except IntegrityError:
        pass  # delivered again
