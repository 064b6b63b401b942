"""Watches: which posts a socket may watch, and their counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from feeds.lists.posts import readable_pairs
from notifications.push.counts import current_counts


class Watch(NamedTuple):
    """A user asks to watch a post; now: and for its counts at once."""

    user_id: int
    post_id: int
    now: bool


class Watched(NamedTuple):
    """shown: the user may open the post. counts: as asked for; None without."""

    shown: bool
    counts: dict[str, int] | None = None


def read_watches(asked: Sequence[Watch]) -> dict[Watch, Watched]:
    """What was asked for, by the question."""
    shown = readable_pairs((one.user_id, one.post_id) for one in asked)
    wanted = {one.post_id for one in asked if one.now and (one.user_id, one.post_id) in shown}
    counts = {found["post_id"]: found for found in current_counts(wanted)} if wanted else {}
    return {
        one: Watched((one.user_id, one.post_id) in shown, counts.get(one.post_id) if one.now else None) for one in asked
    }
