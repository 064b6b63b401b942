"""Counts: the current numbers of posts, as the sockets that watch them get them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Value

from feeds.counts.counts import Counts
from feeds.lists.presentation import COUNT_COLUMNS
from feeds.models import EntityCounts, Post, Uncounted


def current_counts(post_ids: Iterable[int]) -> list[dict[str, int]]:
    """For each visible post: post_id, upvotes, downvotes, comments, score.

    The stored counts and the changes not yet counted are read in one statement, so that each change is in exactly one
    of the two.
    """
    ids = list(post_ids)
    visible = Exists(Post.objects.visible().filter(pk=OuterRef("entity_id")))
    stored = EntityCounts.objects.filter(visible, entity_type="post", entity_id__in=ids)
    uncounted = Uncounted.objects.filter(entity_type="post", entity_id__in=ids).order_by()
    rows = stored.values_list(Value(True), *COUNT_COLUMNS).union(
        uncounted.values_list(Value(False), *COUNT_COLUMNS), all=True
    )
    sums: dict[int, Counts] = {}
    shown = []
    for is_stored, post_id, *numbers in rows:
        sums[post_id] = sums.get(post_id, Counts()).plus(Counts(*numbers))
        if is_stored:
            shown.append(post_id)
    return [{"post_id": post_id, **sums[post_id]._asdict(), "score": sums[post_id].score} for post_id in shown]
