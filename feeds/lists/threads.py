"""Thread: the comments of a post as one viewer reads them, each level best first, answers beneath what they answer.

Its pages follow one order: by the votes as the viewer saw them when reading began. A comment that is new since stands
below those that answer the same, so that they keep their places.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.utils import timezone

from feeds.lists.pagination import BadCursorError, Page, cursor_after, key_of
from feeds.lists.presentation import Totals, counted_and_waiting, present_comments, together
from feeds.lists.snapshot import Sight, Snapshot
from feeds.lists.visibility import Viewer, hidden_author_ids
from feeds.models import Comment, Entity, Post
from feeds.ranking import confidence

SIZE = 200
#: Of so many of the viewer's votes that wait to be counted a cursor tells, so that it stays short.
WAITING = 100
VOTES = r"\d{1,18}:-?\d{1,4}:-?\d{1,4}"
WRITTEN = re.compile(f"(?:{VOTES}(?:,{VOTES}){{0,{WAITING - 1}}})?", re.ASCII)

Row = tuple[int, int | None, int, object, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread(Page[Comment]):
    """A page of comments. `said`: how many there are in all, deleted ones apart, counted or not."""

    said: int = 0


class Place(NamedTuple):
    """Where a comment stands: beneath which, how deep, and whether its content may be seen."""

    comment_id: int
    parent_id: int | None
    depth: int
    shown: bool


class Reached(NamedTuple):
    """How far one has read: when one began, one's votes that were not counted then, and the last comment seen."""

    begun: Snapshot
    waiting: Mapping[int, Totals]
    last: int

    @classmethod
    def read(cls, cursor: str) -> Reached:
        """From a cursor. Raises BadCursorError."""
        begun, votes, last = key_of(cursor, "comments", str, str, int)
        if WRITTEN.fullmatch(votes) is None:
            raise BadCursorError
        numbers = (map(int, vote.split(":")) for vote in votes.split(",") if vote)
        return cls(Snapshot.read(begun), {one: Totals(up, down) for one, up, down in numbers}, last)

    def written(self) -> str:
        """As a cursor."""
        votes = ",".join(f"{one}:{own.upvotes}:{own.downvotes}" for one, own in self.waiting.items())
        return cursor_after("comments", str(self.begun), votes, self.last)


def comments(
    post: Post, *, viewer: Viewer = None, cursor: str | None = None, focus: int | None = None, size: int = SIZE
) -> Thread:
    """The comments in reading order with `depth upvotes downvotes score my_vote shown`.

    Without a cursor the page is the first one, or the one where the comment `focus` is read in its thread.

    A deleted one, or one whose author the viewer is not to see, keeps its place while it has answers; its content is
    empty then and `shown` is False. A page may begin in the middle of a thread: `depth` and `parent_id` say where.
    Read on by its cursor, for up to a day, the thread goes on in the order in which it was when reading began: none
    comes twice, none is left out but what is no longer there. Later it goes on by the votes of now. The numbers shown
    are always those of now.
    Raises BadCursorError.
    """
    reached = None if cursor is None else Reached.read(cursor)
    of_post, now = Comment.objects.filter(post=post), timezone.now()
    columns = ("pk", "parent_id", "author_id", "deleted_at", "sight")
    rows: list[Row] = list(of_post.annotate(sight=Sight()).values_list(*columns))
    if reached is None and not rows:
        return Thread(items=[])
    counted, waiting = counted_and_waiting(Entity.COMMENT, of_post.values("pk"), viewer=viewer)
    held = ranked = together(counted, waiting)
    begun = Snapshot.begun(now, rows[0][-1]) if reached is None else reached.begun
    then = _told_of(waiting) if reached is None else reached.waiting
    if begun.lasts and (reached is not None or len(rows) > size):
        ranked = together(counted | _earlier(of_post, begun), then)
    order = _reading_order(rows, ranked, viewer)
    places = _without_bare_ends(order)
    start = _start_for(places, focus, size) if reached is None else _start(places, order, reached.last)
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
    return Thread(
        items=present_comments(items, viewer=viewer, held=held),
        next_cursor=Reached(begun, then, part[-1].comment_id).written() if more else None,
        said=sum(deleted_at is None for _, _, _, deleted_at, _ in rows),
    )


def _told_of(waiting: Mapping[int, Totals]) -> dict[int, Totals]:
    """The votes by which all pages are ordered: as many as a cursor tells of, on the first page already."""
    votes = ((one, own) for one, own in waiting.items() if own.upvotes or own.downvotes)
    return dict(islice(votes, WAITING))


def _earlier(of_post: QuerySet[Comment], begun: Snapshot) -> dict[int, Totals]:
    """The votes of what has changed since then, as they were."""
    changes = begun.changes(Entity.COMMENT).filter(entity_id__in=of_post.values("pk"))
    # Of one comment's changes the first comes last, and stays.
    rows: Any = changes.order_by("-pk").values_list("entity_id", "upvotes", "downvotes")
    return {comment_id: Totals(upvotes, downvotes) for comment_id, upvotes, downvotes in rows}


def _reading_order(rows: list[Row], held: Mapping[int, Totals], viewer: Viewer) -> list[Place]:
    """All comments, each answer somewhere after what it answers."""
    hidden = hidden_author_ids(viewer)
    parents = {comment_id: parent_id for comment_id, parent_id, *_ in rows}
    shown = {comment_id: not deleted and author_id not in hidden for comment_id, _, author_id, deleted, _ in rows}
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
        order.append(Place(comment_id, parents[comment_id], depth, shown[comment_id]))
        ahead += [(answer, depth + 1) for answer in reversed(answers.get(comment_id, ()))]
    return order


def _without_bare_ends(order: list[Place]) -> list[Place]:
    """Without the hidden comments that no shown one answers, directly or further down."""
    kept: list[Place] = []
    answered: set[int | None] = set()
    for place in reversed(order):
        if place.shown or place.comment_id in answered:
            kept.append(place)
            answered.add(place.parent_id)
    return kept[::-1]


def _confidence(numbers: Totals | None) -> float:
    return confidence(numbers.upvotes, numbers.downvotes) if numbers else 0.0


def _start(places: list[Place], order: list[Place], last: int) -> int:
    """Where the page begins: after the last comment seen, even if that one has no place any more."""
    index = next((index for index, place in enumerate(order) if place.comment_id == last), None)
    if index is None:
        raise BadCursorError
    seen = {place.comment_id for place in order[: index + 1]}
    return sum(place.comment_id in seen for place in places)


def _start_for(places: list[Place], focus: int | None, size: int) -> int:
    """Where the page with one comment begins: at the top, else where its thread does, else at itself."""
    found = next((index for index, place in enumerate(places) if place.comment_id == focus), 0)
    if found < size:
        return 0
    root = next(index for index in range(found, -1, -1) if places[index].depth == 0)
    return root if found - root < size else found
