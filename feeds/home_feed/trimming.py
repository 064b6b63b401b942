"""Trimming: cut feeds to their newest entries, a few of them at a time and not while posts are put in.

A feed grows by an entry per post and has its turn in one post of TURNS, by a draw that comes out the same when an event
comes again. So it has TURNS entries too many on average, and k times as many with a probability of e^-k.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import connections, router
from django.db.models.functions import Mod

from feeds.home_feed.recipients import Readers
from feeds.models import FeedEntry

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
    table = FeedEntry._meta.db_table
    with connections[router.db_for_write(FeedEntry)].cursor() as cursor:
        # Entries of one moment are told apart by their posts, as where the feed is read.
        cursor.executemany(
            f"DELETE FROM {table} WHERE user_id = %s AND (published_at, post_id) <= (SELECT published_at, post_id"
            f" FROM {table} WHERE user_id = %s ORDER BY published_at DESC, post_id DESC LIMIT 1 OFFSET {KEPT})",
            [(user_id, user_id) for user_id in sorted(user_ids)],
        )
