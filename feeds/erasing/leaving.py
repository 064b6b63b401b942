"""Leaving: what still binds a user who left to others: circles, follows both ways, memberships. It ends in chunks.

The request of who leaves ends the first of each (`User.leave`). A chunk takes the first rows that are there: they are
gone after it, so it needs no cursor, and a follow that was committed meanwhile is found as well.
"""

from __future__ import annotations

from typing import Any

from feeds.models import Circle, Follow, Membership
from feeds.models.row_by_row import RowByRow
from feeds.signals import emit_for_deleted_rows

#: Follows or memberships that end in one chunk: one transaction, a few statements.
ROWS_PER_CHUNK = 500
#: Circles that pass on in one chunk: a few statements for each.
CIRCLES_PER_CHUNK = 50


def end_next(user_id: int) -> bool:
    """End the next chunk, in the caller's transaction. Returns whether more may be left."""
    circles = list(Circle.objects.filter(owner=user_id).inheritable()[:CIRCLES_PER_CHUNK])
    for circle in circles:
        circle.pass_on()
    if circles:
        return True
    # Each in the order of an index: the first chunk and the last one cost alike.
    return (
        _end(Follow.objects.filter(follower=user_id).order_by("followee"))
        or _end(Follow.objects.filter(followee=user_id).order_by("follower"))
        or _end(Membership.objects.filter(user=user_id).order_by("pk"))
    )


def _end(rows: RowByRow[Any]) -> bool:
    """Delete the first of these rows by one statement, with their events; returns whether there were any."""
    locked = list(rows.select_for_update(no_key=True)[:ROWS_PER_CHUNK])
    if locked:
        rows.model._base_manager.filter(pk__in=[row.pk for row in locked])._raw_delete(rows.db)
        emit_for_deleted_rows(locked)
    return bool(locked)
