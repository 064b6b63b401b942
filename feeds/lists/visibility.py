"""Visibility: which authors a viewer must not see."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from feeds.models import Block, Mute, User

#: The reader of a page: a user, or None or AnonymousUser for a visitor who is not signed in.
Viewer = User | AnonymousUser | None
Rows = TypeVar("Rows", bound="QuerySet[Any, Any]")


def user_or_none(viewer: Viewer) -> User | None:
    """The viewer as a user; None for a visitor who is not signed in."""
    return viewer if isinstance(viewer, User) else None


def hidden_authors(viewer: Viewer, *, muted: bool = True) -> list[QuerySet[Any, Any]]:
    """Queries of the users hidden from the viewer: blocked in either direction and, if `muted`, muted by the viewer."""
    if (user := user_or_none(viewer)) is None:
        return []
    blocked = [Block.objects.filter(user=user).values("target"), Block.objects.filter(target=user).values("user")]
    return [*blocked, Mute.objects.filter(user=user).values("target")] if muted else blocked


def without_hidden(rows: Rows, viewer: Viewer, *, muted: bool = True) -> Rows:
    """These rows without those whose author is hidden from the viewer."""
    for authors in hidden_authors(viewer, muted=muted):
        rows = rows.exclude(author_id__in=authors)
    return rows


def hidden_author_ids(viewer: Viewer) -> set[int]:
    """The ids of the users hidden from the viewer."""
    queries = hidden_authors(viewer)
    return {id for (id,) in queries[0].union(*queries[1:]).values_list("target")} if queries else set()
