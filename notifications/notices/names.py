"""Names: the current usernames of the people in notices; a user may have changed the name since, or left."""

from __future__ import annotations

from collections.abc import Sequence

from feeds.models import User
from notifications.models import Notification


def refresh_names(rows: Sequence[Notification]) -> Sequence[Notification]:
    """The same rows, `data["names"]` replaced by the current names of `data["actors"]`; one query for all."""
    actors = {actor for row in rows for actor in row.data.get("actors", ())}
    names = dict(User.objects.filter(pk__in=actors).values_list("pk", "username")) if actors else {}
    for row in rows:
        stored = row.data.get("names", ())
        if "actors" in row.data:
            row.data["names"] = [names.get(pk, name) for pk, name in zip(row.data["actors"], stored, strict=True)]
    return rows
