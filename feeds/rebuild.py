"""Rebuild: bring feeds up to date with follows, memberships and posts."""

from __future__ import annotations

from django.db.models import QuerySet

from feeds import fanout
from feeds.chunks import Advance, each_chunk
from feeds.models import User


def rebuild_feeds(users: QuerySet[User], *, advance: Advance | None = None) -> None:
    """Put what is missing into the feeds of these users and take out what does not belong, while the site runs."""
    each_chunk(users, _rebuild, advance=advance)


def _rebuild(user_ids: list[int]) -> None:
    for user_id in user_ids:
        fanout.retract_unwanted(user_id)
        fanout.rebuild(user_id)
