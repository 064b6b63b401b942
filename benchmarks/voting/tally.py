"""Tally: the table in which the peers count, and one vote counted in one transaction by F()."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airy.settings")
django.setup()

from django.conf import settings  # noqa: E402 - Django first
from django.db import models, transaction  # noqa: E402
from django.db.models import F  # noqa: E402

BROKER_URL = (
    f"amqp://{settings.MQ_USER}:{settings.MQ_PASSWORD}@{settings.MQ_HOST}:{settings.MQ_PORT}/{settings.MQ_VHOST}"
)


class Tally(models.Model):
    """The votes on one post."""

    post_id = models.BigIntegerField(primary_key=True)
    upvotes = models.IntegerField(default=0)
    downvotes = models.IntegerField(default=0)
    score = models.IntegerField(default=0)

    class Meta:
        app_label = "feeds"
        db_table = "benchmark_tally"


@transaction.atomic
def count_vote(post_id: int, vote_type: str) -> None:
    if vote_type == "up":
        Tally.objects.filter(pk=post_id).update(upvotes=F("upvotes") + 1, score=F("score") + 1)
    else:
        Tally.objects.filter(pk=post_id).update(downvotes=F("downvotes") + 1, score=F("score") - 1)
