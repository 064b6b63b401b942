"""Trimming: cut feeds to their newest entries, a few of them at a time and not while posts are put in.

A feed grows by an entry per post and has its turn in one post of TURNS, by a draw that comes out the same when an event
comes again. So it has TURNS entries too many on average, and k times as many with a probability of e^-k.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import reduce
from operator import or_

from django.db.models import OuterRef, Q
from django.db.models.functions import Mod

from feeds.models import FeedEntry, User
from feeds.readers import Readers

#: A feed is trimmed to so many entries.
KEPT = 400
#: One feed of so many that a post reaches is trimmed.
TURNS = 32


def whose_turn(rows: Readers, post_id: int) -> list[int]:
    """Those of the readers whose feeds are to be trimmed after this post."""
    drawn = hash((post_id,)) % TURNS
    return list(rows.annotate(turn=Mod("reader", TURNS)).filter(turn=drawn).values_list("reader", flat=True))


def trim(user_ids: Collection[int]) -> None:
    """Cut these feeds to their newest entries."""
    own = FeedEntry.objects.filter(user=OuterRef("pk")).order_by("-published_at", "-post")
    users = User.objects.filter(pk__in=user_ids).annotate(first_too_many=own.values("published_at")[KEPT : KEPT + 1])
    surplus = [
        Q(user=user_id, published_at__lte=moment)
        for user_id, moment in users.exclude(first_too_many=None).values_list("pk", "first_too_many")
    ]
    if surplus:
        FeedEntry.objects.filter(reduce(or_, surplus)).delete()
