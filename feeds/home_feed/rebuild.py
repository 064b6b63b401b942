"""Rebuild: bring feeds up to date with follows, memberships and posts."""

from __future__ import annotations

from django.db.models import QuerySet

from events.pool import check_cancelled
from feeds.batch.chunks import each_chunk
from feeds.batch.progress import Advance
from feeds.home_feed import fanout
from feeds.home_feed import removal as retraction
from feeds.models import User


def rebuild_feeds(
    users: QuerySet[User], *, jobs: int | None = None, after: int = 0, advance: Advance | None = None
) -> None:
    """Put what is missing into the feeds of these users and take out what does not belong, while the site runs.

    jobs, after, advance and what is raised: as for `each_chunk`, the keys being those of the users.
    """
    each_chunk(users, _rebuild, jobs=jobs, after=after, advance=advance)


def _rebuild(user_ids: list[int]) -> None:
    for user_id in user_ids:
        check_cancelled()
        retraction.retract_unwanted(user_id)
        fanout.rebuild(user_id)
