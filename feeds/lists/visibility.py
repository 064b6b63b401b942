"""Visibility: which authors a viewer must not see."""

from __future__ import annotations

from collections.abc import Iterable
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


def hidden_pairs(viewers: Iterable[int], people: Iterable[int], *, muted: bool = True) -> set[tuple[int, int]]:
    """The pairs (viewer, person) of these ids where the person is hidden from the viewer; muted: by a mute, too."""
    viewers, people = set(viewers), set(people)
    if not viewers or not people:
        return set()
    return set(pairs_of_hidden(viewers, people, muted=muted))


def pairs_of_hidden(viewers: Any, people: Any, *, muted: bool = True) -> QuerySet[Any, Any]:
    """The query of `hidden_pairs`. viewers, people: ids, or a subquery of ids."""
    blocks = Block.objects.filter(user__in=viewers, target__in=people).values_list("user_id", "target_id")
    blocked_by = Block.objects.filter(user__in=people, target__in=viewers).values_list("target_id", "user_id")
    mutes = Mute.objects.filter(user__in=viewers, target__in=people).values_list("user_id", "target_id")
    return blocks.union(blocked_by, mutes) if muted else blocks.union(blocked_by)


def without_hidden(rows: Rows, viewer: Viewer, *, muted: bool = True) -> Rows:
    """These rows without those whose author is hidden from the viewer."""
    for authors in hidden_authors(viewer, muted=muted):
        rows = rows.exclude(author_id__in=authors)
    return rows


def hidden_author_ids(viewer: Viewer) -> set[int]:
    """The ids of the users hidden from the viewer."""
    queries = hidden_authors(viewer)
    return {id for (id,) in queries[0].union(*queries[1:]).values_list("target")} if queries else set()
