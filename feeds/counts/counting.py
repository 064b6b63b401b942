"""Counting: add to the counts of posts and comments by deltas, which may come in any order."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from math import isclose
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.models import BooleanField, Case, ExpressionWrapper, Q, Value, When
from django.db.models.functions import Now

from events.db import prepared_cursor
from feeds.models import Comment, EarlierCounts, Entity, EntityCounts, Post, Uncounted
from feeds.ranking import HOT_DECADE, HOT_EPOCH, HOT_SCALE, controversy, hot

Key = tuple[str, int]
#: So long earlier counts are kept: a day, and an hour for transactions that take long and clocks that differ.
KEPT = dt.timedelta(hours=25)


class Delta(NamedTuple):
    """What is to be added to the counts of one post or comment."""

    upvotes: int = 0
    downvotes: int = 0
    comments: int = 0

    def plus(self, other: Delta) -> Delta:
        """Both together."""
        return Delta(self.upvotes + other.upvotes, self.downvotes + other.downvotes, self.comments + other.comments)

    @property
    def changes_votes(self) -> bool:
        """Whether it is about more than comments."""
        return self.upvotes != 0 or self.downvotes != 0


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
    if any(delta.changes_votes for delta in deltas.values()):
        _forget(2 * len(deltas))
    connection = connections[router.db_for_write(EntityCounts)]
    if connection.vendor == "postgresql":
        _add_on_postgresql(connection, deltas, found)
        return found
    store([(row, deltas[row.entity_type, row.entity_id]) for row in lock(found)], found)
    return found


def _forget(number: int) -> None:
    """Of so many of the oldest earlier counts delete those by which nobody reads on any more; nobody waits for it."""
    aged = ExpressionWrapper(Q(changed_at__lt=Now() - KEPT), output_field=BooleanField())
    oldest = EarlierCounts.objects.order_by("pk").values_list("pk", aged)[:number]
    if numbers := [pk for pk, is_aged in oldest if is_aged]:
        free = EarlierCounts.objects.filter(pk__in=numbers).select_for_update(skip_locked=True)
        EarlierCounts.objects.filter(pk__in=free.values("pk")).delete()


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
_HOT = f"""coalesce(round((
    sign({{score}}) * log(greatest(abs({{score}}), 1)::float8) + (
        SELECT (extract(epoch FROM published_at)::float8 - {HOT_EPOCH}) / {HOT_DECADE} FROM feeds_post
        WHERE {{entity_type}} = 'post' AND feeds_post.id = {{entity_id}}
    )) * {HOT_SCALE}::float8) / {HOT_SCALE}::float8, 0)"""
#: As in `feeds.ranking`.
_CONTROVERSY = """CASE WHEN {ups} > 0 AND {downs} > 0 THEN power(
    ({ups} + {downs})::float8, least({ups}, {downs})::float8 / greatest({ups}, {downs})
) ELSE 0 END"""


def _ranks(*, entity_type: str, entity_id: str, ups: str, downs: str) -> dict[str, str]:
    """SQL for what follows from the votes."""
    score = f"({ups} - {downs})"
    hot = _HOT.format(score=score, entity_type=entity_type, entity_id=entity_id)
    return {"score": score, "hot": hot, "controversy": _CONTROVERSY.format(ups=ups, downs=downs)}


_NEW = _ranks(entity_type="kind", entity_id="entity", ups="ups", downs="downs")
_CHANGED = _ranks(
    entity_type="entity_counts.entity_type",
    entity_id="entity_counts.entity_id",
    ups="(entity_counts.upvotes + excluded.upvotes)",
    downs="(entity_counts.downvotes + excluded.downvotes)",
)
_EARLIER = _ranks(entity_type="entity_type", entity_id="entity_id", ups="upvotes", downs="downvotes")
#: One statement, so that the rows are locked for no longer than it takes, and in one order for everyone. What was there
#: before is told by what is written: the statement's own snapshot may be older than the row that it had to wait for.
_ADD = f"""
    WITH delta (kind, entity, ups, downs, more) AS (
        SELECT * FROM unnest(%s::varchar[], %s::bigint[], %s::int[], %s::int[], %s::int[])
    ), written AS (
        INSERT INTO entity_counts (entity_type, entity_id, upvotes, downvotes, comments, score, hot, controversy)
        SELECT kind, entity, ups, downs, more, {_NEW["score"]}, {_NEW["hot"]}, {_NEW["controversy"]}
        FROM delta ORDER BY kind, entity
        ON CONFLICT (entity_type, entity_id) DO UPDATE SET
            upvotes = entity_counts.upvotes + excluded.upvotes,
            downvotes = entity_counts.downvotes + excluded.downvotes,
            comments = entity_counts.comments + excluded.comments,
            score = {_CHANGED["score"]}, hot = {_CHANGED["hot"]}, controversy = {_CHANGED["controversy"]}
        RETURNING entity_type, entity_id, upvotes, downvotes
    ), earlier AS (
        SELECT entity_type, entity_id, upvotes - ups AS upvotes, downvotes - downs AS downvotes
        FROM written JOIN delta ON kind = entity_type AND entity = entity_id WHERE ups <> 0 OR downs <> 0
    )
    INSERT INTO feeds_earliercounts (entity_type, entity_id, upvotes, downvotes, score, hot, controversy)
    SELECT entity_type, entity_id, upvotes, downvotes, {_EARLIER["score"]}, {_EARLIER["hot"]}, {_EARLIER["controversy"]}
    FROM earlier
"""


def _add_on_postgresql(connection: Any, deltas: Mapping[Key, Delta], found: Iterable[Key]) -> None:
    rows = [(*key, *deltas[key]) for key in found]
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        with prepared_cursor(connection) as cursor:
            cursor.execute(_ADD, columns)


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


def store(changes: Iterable[tuple[EntityCounts, Delta]], found: Mapping[Key, Target]) -> None:
    """Write back locked rows with what is to be added to each, ranks worked out anew, and what was before."""
    written, earlier = [], []
    for row, delta in changes:
        target = found[row.entity_type, row.entity_id]
        if delta.changes_votes:
            earlier.append(EarlierCounts(**_named(row), **_ranked(row.upvotes, row.downvotes, target)))
        upvotes, downvotes = row.upvotes + delta.upvotes, row.downvotes + delta.downvotes
        written.append(
            EntityCounts(**_named(row), comments=row.comments + delta.comments, **_ranked(upvotes, downvotes, target))
        )
    EntityCounts.objects.bulk_create(
        written,
        update_conflicts=True,
        unique_fields=["entity_type", "entity_id"],
        update_fields=["upvotes", "downvotes", "comments", "score", "hot", "controversy"],
    )
    EarlierCounts.objects.bulk_create(earlier)


def is_stale(row: EntityCounts, found: Mapping[Key, Target]) -> bool:
    """Whether score or ranks do not follow from the votes."""
    true = _ranked(row.upvotes, row.downvotes, found[row.entity_type, row.entity_id])
    return row.score != true["score"] or any(
        not isclose(getattr(row, name), true[name], rel_tol=1e-9, abs_tol=1e-6) for name in ("hot", "controversy")
    )


def _named(row: EntityCounts) -> dict[str, Any]:
    return {"entity_type": row.entity_type, "entity_id": row.entity_id}


def _ranked(upvotes: int, downvotes: int, target: Target) -> dict[str, Any]:
    """Votes, and what follows from them."""
    published_at = target.published_at
    return {
        "upvotes": upvotes,
        "downvotes": downvotes,
        "score": upvotes - downvotes,
        "hot": hot(upvotes, downvotes, published_at.timestamp()) if published_at else 0.0,
        "controversy": controversy(upvotes, downvotes),
    }


def _is(condition: Q) -> Case:
    return Case(When(condition, then=Value(True)), default=Value(False))
