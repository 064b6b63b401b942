"""Trimming: cut feeds to their newest entries, in an event of its own, so that fan-out does not wait for it.

Each post trims one in TRIMMED_SHARE of the feeds it reaches: those whose user id has the same remainder as a hash of
the post id. The hash is fixed, so an event that is delivered again trims the same feeds. A feed is thus TRIMMED_SHARE
entries too long on average, and k times that with a probability of e^-k.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import connections, router
from django.db.models.functions import Mod

from feeds.home_feed.recipients import Recipients
from feeds.models import FeedEntry

#: Entries that trimming leaves in a feed.
FEED_LENGTH = 400
#: A post trims one in this number of the feeds it reaches.
TRIMMED_SHARE = 32


def feeds_to_trim(rows: Recipients, post_id: int) -> list[int]:
    """The ids of the recipients whose feeds are trimmed after this post."""
    remainder = hash((post_id,)) % TRIMMED_SHARE
    chosen = rows.annotate(remainder=Mod("reader", TRIMMED_SHARE)).filter(remainder=remainder)
    return list(chosen.values_list("reader", flat=True))


def trim(user_ids: Collection[int]) -> None:
    """Cut the feeds of these users to their newest FEED_LENGTH entries."""
    table = FeedEntry._meta.db_table
    with connections[router.db_for_write(FeedEntry)].cursor() as cursor:
        # Entries of the same moment are ordered by post, as where the feed is read.
        cursor.executemany(
            f"DELETE FROM {table} WHERE user_id = %s AND (published_at, post_id) <= (SELECT published_at, post_id"
            f" FROM {table} WHERE user_id = %s ORDER BY published_at DESC, post_id DESC LIMIT 1 OFFSET {FEED_LENGTH})",
            [(user_id, user_id) for user_id in sorted(user_ids)],
        )
