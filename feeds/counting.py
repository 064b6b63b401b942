"""Counting: add to the counts of posts and comments by deltas, which may come in any order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from feeds.models import Comment, Entity, EntityCounts, Post
from feeds.ranking import hot

Key = tuple[str, int]


class Delta(NamedTuple):
    """What is to be added to the counts of one post or comment."""

    upvotes: int = 0
    downvotes: int = 0
    comments: int = 0

    def plus(self, other: Delta) -> Delta:
        """Both together."""
        return Delta(*map(sum, zip(self, other, strict=True)))


class Target(NamedTuple):
    """A post or comment that is counted. Of a comment: its post, its own author."""

    post_id: int
    author_id: int
    visible: bool
    published_at: dt.datetime | None = None


def add(deltas: Mapping[Key, Delta]) -> dict[Key, Target]:
    """Add to the counts of those that exist, in a transaction; returns what they are."""
    found = targets(deltas)
    rows = lock(found)
    for row in rows:
        delta = deltas[row.entity_type, row.entity_id]
        row.upvotes += delta.upvotes
        row.downvotes += delta.downvotes
        row.comments += delta.comments
    store(rows, found)
    return found


def targets(keys: Iterable[Key]) -> dict[Key, Target]:
    """Those of these posts and comments that exist."""
    ids: dict[str, list[int]] = {Entity.POST.value: [], Entity.COMMENT.value: []}
    for entity_type, entity_id in keys:
        ids[entity_type].append(entity_id)
    found: dict[Key, Target] = {}
    if ids["post"]:
        posts = Post.objects.filter(pk__in=ids["post"]).only("author_id", "status", "published_at", "deleted_at")
        found |= {
            ("post", post.pk): Target(post.pk, post.author_id, post.is_visible, post.published_at) for post in posts
        }
    if ids["comment"]:
        comments = Comment.objects.filter(pk__in=ids["comment"]).select_related("post")
        comments = comments.only("author_id", "deleted_at", "post__status", "post__deleted_at")
        found |= {
            ("comment", one.pk): Target(one.post_id, one.author_id, one.is_visible and one.post.is_visible)
            for one in comments
        }
    return found


def lock(keys: Iterable[Key]) -> list[EntityCounts]:
    """Their rows, locked, and made where missing; in one order for everyone, so that nobody waits in a circle."""
    wanted = sorted(keys)
    EntityCounts.objects.bulk_create(
        [EntityCounts(entity_type=entity_type, entity_id=entity_id) for entity_type, entity_id in wanted],
        ignore_conflicts=True,
    )
    rows: list[EntityCounts] = []
    for entity_type in sorted({entity_type for entity_type, _ in wanted}):
        ids = [entity_id for kind, entity_id in wanted if kind == entity_type]
        ours = EntityCounts.objects.filter(entity_type=entity_type, entity_id__in=ids).order_by("entity_id")
        rows += ours.select_for_update(no_key=True)
    return rows


def store(rows: Iterable[EntityCounts], found: Mapping[Key, Target]) -> None:
    """Write locked rows back in one statement, score and rank worked out anew."""
    written = [
        EntityCounts(
            entity_type=row.entity_type,
            entity_id=row.entity_id,
            upvotes=row.upvotes,
            downvotes=row.downvotes,
            comments=row.comments,
            score=row.upvotes - row.downvotes,
            hot=_hot(row, found[row.entity_type, row.entity_id]),
        )
        for row in rows
    ]
    EntityCounts.objects.bulk_create(
        written,
        update_conflicts=True,
        unique_fields=["entity_type", "entity_id"],
        update_fields=["upvotes", "downvotes", "comments", "score", "hot"],
    )


def is_stale(row: EntityCounts, found: Mapping[Key, Target]) -> bool:
    """Whether score or rank do not follow from the votes."""
    rank = _hot(row, found[row.entity_type, row.entity_id])
    return row.score != row.upvotes - row.downvotes or abs(row.hot - rank) > 1e-6


def _hot(row: EntityCounts, target: Target) -> float:
    return hot(row.upvotes, row.downvotes, target.published_at.timestamp()) if target.published_at else 0.0
