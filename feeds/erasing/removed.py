"""Removed: erase what a moderator removed, once the time for restoring it is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db.models import Q
from django.utils import timezone

from feeds.models import Comment, Post
from feeds.models.soft_delete import RESTORABLE

MODELS: dict[str, type[Post | Comment]] = {"post": Post, "comment": Comment}


def expired() -> Q:
    """Deleted longer ago than the time for restoring, and not erased: also what was deleted before deleting erased."""
    return Q(deleted_at__lte=timezone.now() - RESTORABLE, erased_at=None)


def erase_expired(ids: Mapping[str, Iterable[int]]) -> int:
    """Erase those of these posts and comments whose time is over, in the caller's transaction; returns how many."""
    erased = 0
    for name, keys in ids.items():
        for row in MODELS[name].objects.filter(expired(), pk__in=list(keys)).order_by("pk").select_for_update():
            row.erase()
            erased += 1
    return erased
