"""Counts: what a post has got, as those who watch it are told."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Exists, F, OuterRef, Subquery, Sum
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce

from feeds.models import EntityCounts, Post, Uncounted


def present(post_ids: Iterable[int]) -> list[dict[str, int]]:
    """The counts of those that are visible with what is not counted yet: one statement sees each action once."""
    waiting = Uncounted.objects.filter(entity_type="post", entity_id=OuterRef("entity_id")).order_by()

    def with_waiting(name: str) -> CombinedExpression:
        total = waiting.values("entity_id").annotate(total=Sum(name)).values("total")
        return F(name) + Coalesce(Subquery(total), 0)

    rows = EntityCounts.objects.filter(entity_type="post", entity_id__in=list(post_ids))
    rows = rows.filter(Exists(Post.objects.visible().filter(pk=OuterRef("entity_id"))))
    rows = rows.annotate(up=with_waiting("upvotes"), down=with_waiting("downvotes"), said=with_waiting("comments"))
    return [
        {"post_id": post_id, "upvotes": up, "downvotes": down, "score": up - down, "comments": said}
        for post_id, up, down, said in rows.values_list("entity_id", "up", "down", "said")
    ]
