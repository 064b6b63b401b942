"""Counting: add to the counts of posts and comments by deltas, which may come in any order."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.models import Case, Q, Value, When
from django.utils import timezone

from feeds.models import Comment, Entity, EntityCounts, Post, Uncounted
from feeds.ranking import HOT_DECADE, HOT_EPOCH, hot

Key = tuple[str, int]
#: So long a post is not shown again further down to one who reads on in a ranked list.
FALLS_REMEMBERED = dt.timedelta(days=1)


class Delta(NamedTuple):
    """What is to be added to the counts of one post or comment."""

    upvotes: int = 0
    downvotes: int = 0
    comments: int = 0

    def plus(self, other: Delta) -> Delta:
        """Both together."""
        return Delta(self.upvotes + other.upvotes, self.downvotes + other.downvotes, self.comments + other.comments)


class Target(NamedTuple):
    """A post or comment that is counted. Of a comment: its post, its own author."""

    post_id: int
    author_id: int
    visible: bool
    published_at: dt.datetime | None = None


def add(deltas: Mapping[Key, Delta], *, found: Mapping[Key, Target] | None = None) -> Mapping[Key, Target]:
    """Add to the counts of those that exist, in a transaction; returns what they are (`found`, if that is known).

    To be called last: whatever comes after it until the commit holds up all others who count the same rows.
    """
    found = targets(deltas) if found is None else found
    connection = connections[router.db_for_write(EntityCounts)]
    if connection.vendor == "postgresql":
        _add_on_postgresql(connection, deltas, found)
        return found
    rows = lock(found)
    for row in rows:
        delta = deltas[row.entity_type, row.entity_id]
        row.upvotes += delta.upvotes
        row.downvotes += delta.downvotes
        row.comments += delta.comments
    store(rows, found)
    return found


def settle(event_ids: Iterable[uuid.UUID]) -> None:
    """The counts hold these events now: their actors' own views need not add them any more."""
    connection = connections[router.db_for_write(Uncounted)]
    if connection.vendor != "postgresql":
        Uncounted.objects.filter(pk__in=list(event_ids)).delete()
        return
    with connection.cursor() as cursor:
        # The text of an array: psycopg and Django would look at each of many values in Python.
        ids = ",".join(event_id.hex for event_id in event_ids)
        cursor.execute("DELETE FROM feeds_uncounted WHERE event_id = ANY(%s::uuid[])", [f"{{{ids}}}"])


#: Reddit's hot as in `feeds.ranking`; what is not published has none.
_HOT = """coalesce(round((
    sign({score}) * log(greatest(abs({score}), 1)::float8) + (
        SELECT (extract(epoch FROM published_at)::float8 - %s) / %s FROM feeds_post
        WHERE {entity_type} = 'post' AND feeds_post.id = {entity_id}
    ))::numeric, 7)::float8, 0)"""
_SCORE = "(entity_counts.upvotes + excluded.upvotes - entity_counts.downvotes - excluded.downvotes)"
_FALLS = "excluded.upvotes < excluded.downvotes"
#: The highest value before the falls of the last day.
_BEFORE = f"""CASE
    WHEN NOT ({_FALLS}) THEN entity_counts.{{name}}_before
    WHEN entity_counts.fell_at > clock_timestamp() - interval '{FALLS_REMEMBERED.days} day'
        THEN greatest(entity_counts.{{name}}_before, entity_counts.{{name}}) ELSE entity_counts.{{name}} END"""
#: One statement, so that the rows are locked for no longer than it takes, and in one order for everyone.
_ADD = f"""
    INSERT INTO entity_counts (entity_type, entity_id, upvotes, downvotes, comments, score, hot)
    SELECT kind, entity, ups, downs, more, ups - downs,
        {_HOT.format(score="(ups - downs)", entity_type="kind", entity_id="entity")}
    FROM unnest(%s::varchar[], %s::bigint[], %s::int[], %s::int[], %s::int[]) AS delta (kind, entity, ups, downs, more)
    ORDER BY kind, entity
    ON CONFLICT (entity_type, entity_id) DO UPDATE SET
        upvotes = entity_counts.upvotes + excluded.upvotes,
        downvotes = entity_counts.downvotes + excluded.downvotes,
        comments = entity_counts.comments + excluded.comments,
        score = {_SCORE},
        hot = {_HOT.format(score=_SCORE, entity_type="entity_counts.entity_type", entity_id="entity_counts.entity_id")},
        fell_at = CASE WHEN {_FALLS} THEN clock_timestamp() ELSE entity_counts.fell_at END,
        score_before = {_BEFORE.format(name="score")},
        hot_before = {_BEFORE.format(name="hot")}
"""


def _add_on_postgresql(connection: Any, deltas: Mapping[Key, Delta], found: Iterable[Key]) -> None:
    rows = [(*key, *deltas[key]) for key in found]
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        with connection.cursor() as cursor:
            cursor.execute(_ADD, [HOT_EPOCH, HOT_DECADE, *columns, HOT_EPOCH, HOT_DECADE])


def targets(keys: Iterable[Key]) -> dict[Key, Target]:
    """Those of these posts and comments that exist."""
    ids: dict[str, list[int]] = {Entity.POST.value: [], Entity.COMMENT.value: []}
    for entity_type, entity_id in keys:
        ids[entity_type].append(entity_id)
    found: dict[Key, Target] = {}
    if ids["post"]:
        posts = Post.objects.filter(pk__in=ids["post"]).annotate(visible=_is(Post.VISIBLE))
        for post_id, author_id, visible, published_at in posts.values_list(
            "pk", "author_id", "visible", "published_at"
        ):
            found["post", post_id] = Target(post_id, author_id, visible, published_at)
    if ids["comment"]:
        comments = Comment.objects.filter(pk__in=ids["comment"]).annotate(visible=_is(Comment.VISIBLE))
        for comment_id, post_id, author_id, visible in comments.values_list("pk", "post_id", "author_id", "visible"):
            found["comment", comment_id] = Target(post_id, author_id, visible)
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
            **_falls(row),
        )
        for row in rows
    ]
    EntityCounts.objects.bulk_create(
        written,
        update_conflicts=True,
        unique_fields=["entity_type", "entity_id"],
        update_fields=["upvotes", "downvotes", "comments", "score", "hot", "fell_at", "score_before", "hot_before"],
    )


def is_stale(row: EntityCounts, found: Mapping[Key, Target]) -> bool:
    """Whether score or rank do not follow from the votes."""
    rank = _hot(row, found[row.entity_type, row.entity_id])
    return row.score != row.upvotes - row.downvotes or abs(row.hot - rank) > 1e-6


def _falls(row: EntityCounts) -> dict[str, Any]:
    """When it last fell, and from how high within the last day; score and rank are still those before."""
    now = timezone.now()
    before = row.score_before, row.hot_before
    if row.upvotes - row.downvotes >= row.score:
        return {"fell_at": row.fell_at, "score_before": before[0], "hot_before": before[1]}
    if row.fell_at is None or row.fell_at <= now - FALLS_REMEMBERED:
        before = None, None
    return {
        "fell_at": now,
        "score_before": row.score if before[0] is None else max(before[0], row.score),
        "hot_before": row.hot if before[1] is None else max(before[1], row.hot),
    }


def _hot(row: EntityCounts, target: Target) -> float:
    return hot(row.upvotes, row.downvotes, target.published_at.timestamp()) if target.published_at else 0.0


def _is(condition: Q) -> Case:
    return Case(When(condition, then=Value(True)), default=Value(False))
