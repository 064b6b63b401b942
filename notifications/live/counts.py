"""Counts: what a post has got, as those who watch it are told."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Value

from feeds.counts.counts import Counts
from feeds.lists.presentation import COUNT_COLUMNS
from feeds.models import EntityCounts, Post, Uncounted


def present(post_ids: Iterable[int]) -> list[dict[str, int]]:
    """The counts of those that are visible with what is not counted yet: one statement sees each action once."""
    asked = list(post_ids)
    visible = Exists(Post.objects.visible().filter(pk=OuterRef("entity_id")))
    counted = EntityCounts.objects.filter(visible, entity_type="post", entity_id__in=asked)
    waiting = Uncounted.objects.filter(entity_type="post", entity_id__in=asked).order_by()
    rows = counted.values_list(Value(True), *COUNT_COLUMNS).union(
        waiting.values_list(Value(False), *COUNT_COLUMNS), all=True
    )
    sums: dict[int, Counts] = {}
    shown = []
    for is_counted, post_id, *numbers in rows:
        sums[post_id] = sums.get(post_id, Counts()).plus(Counts(*numbers))
        if is_counted:
            shown.append(post_id)
    return [{"post_id": post_id, **sums[post_id]._asdict(), "score": sums[post_id].score} for post_id in shown]
