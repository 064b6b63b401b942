"""Audience: who is to see whose posts and comments."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from feeds.models import Block, Mute, User

#: Who reads: a user, or somebody unknown.
Viewer = User | AnonymousUser | None
Rows = TypeVar("Rows", bound="QuerySet[Any, Any]")


def signed_in(viewer: Viewer) -> User | None:
    """The viewer, or None for somebody unknown."""
    return viewer if isinstance(viewer, User) else None


def hidden_authors(viewer: Viewer, *, muted: bool = True) -> list[QuerySet[Any, Any]]:
    """Queries of the users whom the viewer is not to see: blocked in either direction or, if asked, muted."""
    if (user := signed_in(viewer)) is None:
        return []
    blocked = [Block.objects.filter(user=user).values("target"), Block.objects.filter(target=user).values("user")]
    return [*blocked, Mute.objects.filter(user=user).values("target")] if muted else blocked


def without_hidden(rows: Rows, viewer: Viewer, *, muted: bool = True) -> Rows:
    """These rows without those of authors hidden from the viewer."""
    for authors in hidden_authors(viewer, muted=muted):
        rows = rows.exclude(author_id__in=authors)
    return rows


def hidden_author_ids(viewer: Viewer) -> set[int]:
    """The ids of the users whom the viewer is not to see."""
    queries = hidden_authors(viewer)
    return {id for (id,) in queries[0].union(*queries[1:]).values_list("target")} if queries else set()
