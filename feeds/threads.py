"""Thread: the comments of a post as one viewer reads them, each level best first, answers beneath what they answer."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from feeds.audience import Viewer, hidden_author_ids
from feeds.models import Comment, Entity, Post
from feeds.pages import Page, cursor_after, key_of
from feeds.presentation import Totals, present_comments, totals
from feeds.ranking import confidence

SIZE = 200


class Place(NamedTuple):
    """Where a comment stands: how deep, and whether its content may be seen."""

    comment_id: int
    depth: int
    shown: bool


def comments(
    post: Post, *, viewer: Viewer = None, cursor: str | None = None, focus: int | None = None, size: int = SIZE
) -> Page[Comment]:
    """The comments in reading order with `depth upvotes downvotes score my_vote shown`.

    Without a cursor the page is the first one, or the one where the comment `focus` is read in its thread.

    A deleted one, or one whose author the viewer is not to see, keeps its place while it has answers; its content is
    empty then and `shown` is False. A page may begin in the middle of a thread: `depth` and `parent_id` say where.
    Raises BadCursorError.
    """
    rows = Comment.objects.filter(post=post)
    held = totals(Entity.COMMENT, rows.values("pk"), viewer=viewer)
    places = _reading_order(list(rows.values_list("pk", "parent_id", "author_id", "deleted_at")), held, viewer)
    start = _start(places, cursor) if cursor is not None else _start_for(places, focus, size)
    part = places[start : start + size]
    found = Comment.objects.select_related("author").in_bulk([place.comment_id for place in part])
    items = []
    for place in part:
        if (comment := found.get(place.comment_id)) is None:
            continue
        comment.depth, comment.shown = place.depth, place.shown  # type: ignore[attr-defined]
        comment.content = comment.content if place.shown else ""
        items.append(comment)
    more = start + size < len(places)
    return Page(
        items=present_comments(items, viewer=viewer, held=held),
        next_cursor=cursor_after("comments", part[-1].comment_id, start + size) if more else None,
    )


def _reading_order(
    rows: list[tuple[int, int | None, int, object]], held: dict[int, Totals], viewer: Viewer
) -> list[Place]:
    """All comments that keep a place, each answer somewhere after what it answers."""
    hidden = hidden_author_ids(viewer)
    parents = {comment_id: parent_id for comment_id, parent_id, _, _ in rows}
    shown = {comment_id: not deleted and author_id not in hidden for comment_id, _, author_id, deleted in rows}
    answers: dict[int | None, list[int]] = defaultdict(list)
    for comment_id, parent_id in parents.items():
        answers[parent_id].append(comment_id)
    for siblings in answers.values():
        siblings.sort(key=lambda comment_id: (-_confidence(held.get(comment_id)), comment_id))
    order: list[Place] = []
    # A stack of our own: a thread may be deeper than Python recurses.
    ahead = [(comment_id, 0) for comment_id in reversed(answers[None])]
    while ahead:
        comment_id, depth = ahead.pop()
        order.append(Place(comment_id, depth, shown[comment_id]))
        ahead += [(answer, depth + 1) for answer in reversed(answers.get(comment_id, ()))]
    return _without_bare_ends(order, parents)


def _without_bare_ends(order: list[Place], parents: dict[int, int | None]) -> list[Place]:
    """Without the hidden comments that no shown one answers, directly or further down."""
    kept: list[Place] = []
    answered: set[int | None] = set()
    for place in reversed(order):
        if place.shown or place.comment_id in answered:
            kept.append(place)
            answered.add(parents[place.comment_id])
    return kept[::-1]


def _confidence(numbers: Totals | None) -> float:
    return confidence(numbers.upvotes, numbers.downvotes) if numbers else 0.0


def _start(places: list[Place], cursor: str) -> int:
    """Where the page begins: after the last comment seen, or at its old position when it is gone."""
    last, position = key_of(cursor, "comments", int, int)
    after = (index + 1 for index, place in enumerate(places) if place.comment_id == last)
    return next(after, max(position, 0))


def _start_for(places: list[Place], focus: int | None, size: int) -> int:
    """Where the page with one comment begins: at the top, else where its thread does, else at itself."""
    found = next((index for index, place in enumerate(places) if place.comment_id == focus), 0)
    if found < size:
        return 0
    root = next(index for index in range(found, -1, -1) if places[index].depth == 0)
    return root if found - root < size else found
