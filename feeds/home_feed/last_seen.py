"""Last seen: note when a user was here, and rebuild the feed of a user who returns after a long absence."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress

from django.utils import timezone

from events.db import committed
from events.pool import PoolError, get_pool
from feeds.home_feed import fanout
from feeds.home_feed.recipients import ABSENT_AFTER
from feeds.models import User

#: Shortest time between two writes of `last_seen_at`.
WRITE_INTERVAL = dt.timedelta(minutes=10)


def mark_seen(user: User) -> None:
    """Note that a user is here. After a long absence, during which fan-out left them out, rebuild the feed first."""
    now = timezone.now()
    away = now - user.last_seen_at
    if away >= ABSENT_AFTER:
        # In one transaction, since fan-out reads the same column: a feed is either filled by fan-out or rebuilt.
        with committed():
            _write(user.pk, now)
            fanout.rebuild(user.pk)
    elif away >= WRITE_INTERVAL:
        # In the pool, without waiting. If the pool is full or closed, the next request writes it.
        with suppress(PoolError):
            get_pool().try_submit(_write, user.pk, now)
    else:
        return
    user.last_seen_at = now


def _write(user_id: int, now: dt.datetime) -> None:
    User.objects.filter(pk=user_id, last_seen_at__lt=now).update(last_seen_at=now)
