"""Counting: add changes to the counts of posts and comments. The changes may come in any order."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from math import isclose
from typing import NamedTuple

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from events.db import prepared_cursor
from feeds.counts.counts import Counts
from feeds.counts.ranks import rank_sql, votes_and_ranks
from feeds.counts.targets import CountTarget, EntityKey, find_targets
from feeds.models import EarlierCounts, EntityCounts, Uncounted

#: Time after which a row of the count history is deleted. A day, since a cursor is valid for a day, and an hour for
#: long transactions and for clocks that differ.
HISTORY_KEPT = dt.timedelta(hours=25)

COUNTS, HISTORY, PENDING = (model._meta.db_table for model in (EntityCounts, EarlierCounts, Uncounted))


class CountedRow(NamedTuple):
    """A locked row of EntityCounts, and the change to add to it."""

    row: EntityCounts
    change: Counts


def add(
    changes: Mapping[EntityKey, Counts], *, found: Mapping[EntityKey, CountTarget] | None = None
) -> Mapping[EntityKey, CountTarget]:
    """Add the changes to the counts of the posts and comments that exist; to be called in a transaction.

    `found`: their targets, if the caller has them. Returns the targets.

    Call it last in the transaction: until the commit every other transaction that counts the same rows waits.
    """
    found = find_targets(changes) if found is None else found
    if any(change.has_votes for change in changes.values()):
        clear_history(2 * len(changes))
    connection = connections[router.db_for_write(EntityCounts)]
    if connection.vendor == "postgresql":
        _add_on_postgresql(connection, changes, found)
        return found
    store([CountedRow(row, changes[row.entity_type, row.entity_id]) for row in lock(found)], found)
    return found


def delete_pending(event_ids: Iterable[uuid.UUID]) -> None:
    """Delete the pending counts of these events: EntityCounts includes them now, so a view must not add them again."""
    connection = connections[router.db_for_write(Uncounted)]
    if connection.vendor != "postgresql":
        Uncounted.objects.filter(pk__in=list(event_ids)).delete()
        return
    with connection.cursor() as cursor:
        # One array as text: psycopg and Django would convert each of many values in Python.
        ids = ",".join(event_id.hex for event_id in event_ids)
        cursor.execute(f"DELETE FROM {PENDING} WHERE event_id = ANY(%s::uuid[])", [f"{{{ids}}}"])


def lock(keys: Iterable[EntityKey]) -> list[EntityCounts]:
    """The rows of EntityCounts with these keys, locked; missing rows are inserted first.

    Locked in the order of their keys, so that two transactions cannot deadlock.
    """
    wanted = sorted(keys)
    EntityCounts.objects.bulk_create(
        [EntityCounts(entity_type=entity_type, entity_id=entity_id) for entity_type, entity_id in wanted],
        ignore_conflicts=True,
    )
    rows: list[EntityCounts] = []
    for entity_type in sorted({entity_type for entity_type, _ in wanted}):
        ids = [entity_id for kind, entity_id in wanted if kind == entity_type]
        of_type = EntityCounts.objects.filter(entity_type=entity_type, entity_id__in=ids).order_by("entity_id")
        rows += of_type.select_for_update(no_key=True)
    return rows


def store(rows: Iterable[CountedRow], found: Mapping[EntityKey, CountTarget]) -> None:
    """Write locked rows with their changes added and their ranks computed again.

    Where votes change, the votes and ranks before the change go into the count history.
    """
    written, history = [], []
    for row, change in rows:
        key = {"entity_type": row.entity_type, "entity_id": row.entity_id}
        target = found[row.entity_type, row.entity_id]
        if change.has_votes:
            history.append(EarlierCounts(**key, **votes_and_ranks(row.upvotes, row.downvotes, target)))
        new = Counts(row.upvotes, row.downvotes, row.comments).plus(change)
        ranks = votes_and_ranks(new.upvotes, new.downvotes, target)
        written.append(EntityCounts(**key, comments=new.comments, **ranks))
    EntityCounts.objects.bulk_create(
        written,
        update_conflicts=True,
        unique_fields=["entity_type", "entity_id"],
        update_fields=["upvotes", "downvotes", "comments", "score", "hot", "controversy"],
    )
    EarlierCounts.objects.bulk_create(history)


def is_stale(row: EntityCounts, found: Mapping[EntityKey, CountTarget]) -> bool:
    """Whether the score or a rank differs from the one that follows from the votes."""
    true = votes_and_ranks(row.upvotes, row.downvotes, found[row.entity_type, row.entity_id])
    return (
        row.score != true["score"]
        or not isclose(row.hot, true["hot"], rel_tol=1e-9, abs_tol=1e-6)
        or not isclose(row.controversy, true["controversy"], rel_tol=1e-9, abs_tol=1e-6)
    )


def clear_history(number: int) -> int:
    """Delete expired rows among the `number` oldest of the count history, skipping locked ones; returns how many.

    Each count deletes a few.
    """
    aged = ExpressionWrapper(Q(changed_at__lt=Now() - HISTORY_KEPT), output_field=BooleanField())
    oldest = EarlierCounts.objects.order_by("pk").values_list("pk", aged)[:number]
    expired = [pk for pk, is_aged in oldest if is_aged]
    if not expired:
        return 0
    free = EarlierCounts.objects.filter(pk__in=expired).select_for_update(skip_locked=True)
    deleted, _ = EarlierCounts.objects.filter(pk__in=free.values("pk")).delete()
    return deleted


# On PostgreSQL
# ----------------------------------------------------------------------------------------------------------

_INSERTED = rank_sql(entity_type="kind", entity_id="entity", ups="ups", downs="downs")
_UPDATED = rank_sql(
    entity_type="held.entity_type",
    entity_id="held.entity_id",
    ups="(held.upvotes + excluded.upvotes)",
    downs="(held.downvotes + excluded.downvotes)",
)
_BEFORE = rank_sql(entity_type="entity_type", entity_id="entity_id", ups="upvotes", downs="downvotes")
#: One statement, so that the rows are locked no longer than it takes:
#: 1. change: the parameters as rows.
#: 2. written: insert or update the counts, in the order of the keys, so that two statements cannot deadlock.
#: 3. before: the votes before the change. Computed from what was written: the statement's own snapshot may be older
#:    than a row that it had to wait for.
#: 4. Insert those votes and their ranks into the count history.
_ADD = f"""
    WITH change (kind, entity, ups, downs, more) AS (
        SELECT * FROM unnest(%s::varchar[], %s::bigint[], %s::int[], %s::int[], %s::int[])
    ), written AS (
        INSERT INTO {COUNTS} AS held (entity_type, entity_id, upvotes, downvotes, comments, score, hot, controversy)
        SELECT kind, entity, ups, downs, more, {_INSERTED.score}, {_INSERTED.hot}, {_INSERTED.controversy}
        FROM change ORDER BY kind, entity
        ON CONFLICT (entity_type, entity_id) DO UPDATE SET
            upvotes = held.upvotes + excluded.upvotes,
            downvotes = held.downvotes + excluded.downvotes,
            comments = held.comments + excluded.comments,
            score = {_UPDATED.score}, hot = {_UPDATED.hot}, controversy = {_UPDATED.controversy}
        RETURNING entity_type, entity_id, upvotes, downvotes
    ), before AS (
        SELECT entity_type, entity_id, upvotes - ups AS upvotes, downvotes - downs AS downvotes
        FROM written JOIN change ON kind = entity_type AND entity = entity_id WHERE ups <> 0 OR downs <> 0
    )
    INSERT INTO {HISTORY} (entity_type, entity_id, upvotes, downvotes, score, hot, controversy)
    SELECT entity_type, entity_id, upvotes, downvotes, {_BEFORE.score}, {_BEFORE.hot}, {_BEFORE.controversy}
    FROM before
"""


def _add_on_postgresql(
    connection: BaseDatabaseWrapper, changes: Mapping[EntityKey, Counts], found: Iterable[EntityKey]
) -> None:
    rows = [(*key, *changes[key]) for key in found]
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        with prepared_cursor(connection) as cursor:
            cursor.execute(_ADD, columns)
