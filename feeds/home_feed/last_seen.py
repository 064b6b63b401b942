"""Presence: when a user was last here, and what a return after long absence entails."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress

from django.db import transaction
from django.utils import timezone

from events.pool import PoolError, get_pool
from feeds.home_feed import fanout
from feeds.home_feed.recipients import ABSENCE
from feeds.models import User

#: The time is written at most this often.
RESOLUTION = dt.timedelta(minutes=10)


def seen(user: User) -> None:
    """Note that a user is here. Back after long absence, their feed is built anew first: fan-out had passed it over."""
    now = timezone.now()
    away = now - user.last_seen_at
    if away >= ABSENCE:
        # Fan-out goes by the same column, so that a feed is always either kept or built anew.
        with transaction.atomic():
            _note(user.pk, now)
            fanout.rebuild(user.pk)
    elif away >= RESOLUTION:
        # A time that gets lost is noted by the next request: nobody waits for it.
        with suppress(PoolError):
            get_pool().try_submit(_note, user.pk, now)
    else:
        return
    user.last_seen_at = now


def _note(user_id: int, now: dt.datetime) -> None:
    User.objects.filter(pk=user_id, last_seen_at__lt=now).update(last_seen_at=now)
