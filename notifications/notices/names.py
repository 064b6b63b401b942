"""Names: what the people in notices are called today; since the notice, one may have changed the name, or left."""

from __future__ import annotations

from collections.abc import Sequence

from feeds.models import User
from notifications.models import Notification


def rename(rows: Sequence[Notification]) -> Sequence[Notification]:
    """The same notices, with the present names of their actors."""
    actors = {actor for row in rows for actor in row.data.get("actors", ())}
    names = dict(User.objects.filter(pk__in=actors).values_list("pk", "username")) if actors else {}
    for row in rows:
        then = row.data.get("names", ())
        if "actors" in row.data:
            row.data["names"] = [names.get(pk, name) for pk, name in zip(row.data["actors"], then, strict=True)]
    return rows
