"""Presence: when a user was last here, and what a return after long absence entails."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils import timezone

from feeds import fanout
from feeds.models import User

#: The time is written at most this often.
RESOLUTION = dt.timedelta(minutes=10)


def seen(user: User) -> None:
    """Note that a user is here. Back after long absence, their feed is built anew: fan-out had passed it over."""
    now = timezone.now()
    if now - user.last_seen_at < RESOLUTION:
        return
    with transaction.atomic():
        # Fan-out and this agree by the same column, so that a feed is either kept or built anew.
        User.objects.filter(pk=user.pk).update(last_seen_at=now)
        if now - user.last_seen_at >= fanout.ABSENCE:
            fanout.rebuild(user.pk)
    user.last_seen_at = now


def is_back(user: User) -> bool:
    """Whether the feed of a user has not been kept and is to be built before it is read."""
    return timezone.now() - user.last_seen_at >= fanout.ABSENCE
