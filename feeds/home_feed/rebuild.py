"""Rebuild: make feeds agree with follows, memberships and posts."""

from __future__ import annotations

from django.db.models import QuerySet

from events.pool import check_cancelled
from feeds.batch.chunks import each_chunk
from feeds.batch.progress import Advance
from feeds.home_feed import fanout, removal
from feeds.models import User


def rebuild_feeds(
    users: QuerySet[User], *, jobs: int | None = None, after: int = 0, advance: Advance | None = None
) -> None:
    """Add missing entries to the feeds of these users and remove wrong ones, while the site runs.

    jobs, after, advance and errors: as for `each_chunk`; the keys are user ids.
    """
    each_chunk(users, _rebuild, jobs=jobs, after=after, advance=advance)


def _rebuild(user_ids: list[int]) -> None:
    for user_id in user_ids:
        check_cancelled()
        removal.remove_unwanted(user_id)
        fanout.rebuild(user_id)
