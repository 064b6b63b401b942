"""Gone: the notices of a user who left for good, and the name in the notices of others."""

from __future__ import annotations

from events.db import committed
from feeds.models import User
from notifications.models import Notification, Stream

#: Notices that are deleted, and among which the name is looked for, in one transaction.
DELETED_PER_TRANSACTION, SCANNED_PER_TRANSACTION = 1_000, 2_000


def forget_person(user_id: int, *, after: int = 0) -> int | None:
    """Delete the user's own notices, then put the neutral name into those of others; one chunk, after this id.

    Returns the id to go on after; None: all is done.
    """
    with committed():
        own = list(Notification.objects.filter(user=user_id).values_list("pk", flat=True)[:DELETED_PER_TRANSACTION])
        Notification.objects.filter(pk__in=own).delete()
        if len(own) == DELETED_PER_TRANSACTION:
            return after
        Stream.objects.filter(user=user_id).update(unread=0)
        scanned = Notification.objects.filter(pk__gt=after).order_by("pk").values_list("pk", "data")
        chunk = list(scanned[:SCANNED_PER_TRANSACTION])
        naming = [pk for pk, data in chunk if user_id in data.get("actors", ()) and data.get("names")]
        neutral = User.objects.values_list("username", flat=True).get(pk=user_id)
        for row in Notification.objects.filter(pk__in=naming).order_by("pk").select_for_update():
            actors, names = row.data.get("actors", []), row.data.get("names", [])
            row.data["names"] = [
                neutral if actor == user_id else name for actor, name in zip(actors, names, strict=False)
            ]
            row.save(update_fields=["data"])
    return chunk[-1][0] if len(chunk) == SCANNED_PER_TRANSACTION else None
