"""Thread: the comments of a post as one viewer reads them, each level best first, replies beneath their parent.

All pages keep one order: by the votes as the viewer saw them when reading began. A comment written since then stands
below its siblings, so that these keep their places.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from django.db.models import QuerySet
from django.utils import timezone

from feeds.counts.counts import Counts
from feeds.lists.pagination import BadCursorError, Page, cursor_after, cursor_key
from feeds.lists.presentation import add_up, counted_and_pending, present_comments
from feeds.lists.snapshot import CurrentSnapshot, Snapshot
from feeds.lists.visibility import Viewer, hidden_author_ids
from feeds.models import Comment, Entity, Post
from feeds.ranking import confidence

#: Comments on a page, unless the caller passes another size.
COMMENTS_PER_PAGE = 200
#: Maximum number of the viewer's pending votes stored in a cursor, which keeps the cursor short.
MAX_PENDING_VOTES = 100
PENDING_VOTES = r"\d{1,18}:-?\d{1,4}:-?\d{1,4}"
PENDING_PATTERN = re.compile(f"(?:{PENDING_VOTES}(?:,{PENDING_VOTES}){{0,{MAX_PENDING_VOTES - 1}}})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread(Page[Comment]):
    """A page of comments. `said`: the number of comments of the post that are not deleted, counted or pending."""

    said: int = 0


class CommentRow(NamedTuple):
    """A comment as it is ordered: without its content. `snapshot`: as CurrentSnapshot selects it."""

    comment_id: int
    parent_id: int | None
    author_id: int
    deleted_at: dt.datetime | None
    snapshot: str


class Place(NamedTuple):
    """A place in the thread. depth: its level in the tree, from 0. shown: whether the viewer sees the content."""

    comment_id: int
    parent_id: int | None
    depth: int
    shown: bool


class ThreadCursor(NamedTuple):
    """Where reading began and how far it got.

    snapshot, pending: the moment of the first page and the viewer's pending votes then, by comment. They set the order
    of all pages. last_id: the last comment shown; None before the first page.
    """

    snapshot: Snapshot
    pending: Mapping[int, Counts]
    last_id: int | None

    @classmethod
    def read(cls, cursor: str) -> ThreadCursor:
        """The inverse of `written`. Raises BadCursorError."""
        snapshot, votes, last_id = cursor_key(cursor, "comments", str, str, int)
        if PENDING_PATTERN.fullmatch(votes) is None:
            raise BadCursorError
        numbers = (map(int, vote.split(":")) for vote in votes.split(",") if vote)
        return cls(Snapshot.from_cursor(snapshot), {one: Counts(up, down) for one, up, down in numbers}, last_id)

    def written(self) -> str:
        """As an opaque cursor."""
        votes = ",".join(f"{one}:{own.upvotes}:{own.downvotes}" for one, own in self.pending.items())
        return cursor_after("comments", str(self.snapshot), votes, self.last_id)


def list_comments(
    post: Post,
    *,
    viewer: Viewer = None,
    cursor: str | None = None,
    focus: int | None = None,
    size: int = COMMENTS_PER_PAGE,
) -> Thread:
    """The comments in reading order with `depth upvotes downvotes score my_vote shown`.

    Without a cursor the page is the first one, or the one that holds the comment `focus`.

    A comment that is deleted, or whose author is hidden from the viewer, keeps its place while it has replies; its
    content is empty and `shown` is False. A page may begin in the middle of a thread: `depth` and `parent_id` say
    where. For a day after the first page, the following pages keep the order of that moment: no comment comes twice,
    and none is missing unless it is gone. After a day they use the current votes. The numbers shown are always the
    current ones.

    Raises BadCursorError.

    1. Load all comments without their contents, and their counts.
    2. Order them by the votes of the moment when reading began.
    3. Cut out the page.
    4. Load the contents of the page.
    """
    now, of_post = timezone.now(), Comment.objects.filter(post=post)
    position = None if cursor is None else ThreadCursor.read(cursor)

    rows = _load_rows(of_post)
    if position is None and not rows:
        return Thread(items=[])
    counted, pending = counted_and_pending(Entity.COMMENT, of_post.values("pk"), viewer=viewer)
    counts = add_up(counted, pending)

    if position is None:
        position = ThreadCursor(Snapshot.taken(now, rows[0].snapshot), _votes_for_cursor(pending), None)
    several_pages = cursor is not None or len(rows) > size
    if several_pages and position.snapshot.is_valid:
        ranks = add_up(counted | _counts_then(of_post, position.snapshot), position.pending)
    else:
        ranks = counts
    order = _reading_order(rows, ranks, viewer)
    places = _without_empty_branches(order)

    if position.last_id is None:
        start = _start_for(places, focus=focus, size=size)
    else:
        start = _start_after(position.last_id, order=order, places=places)
    page = places[start : start + size]
    more = start + size < len(places)

    return Thread(
        items=present_comments(_load_contents(page), viewer=viewer, counts=counts),
        next_cursor=position._replace(last_id=page[-1].comment_id).written() if more else None,
        said=sum(row.deleted_at is None for row in rows),
    )


# 1. Load


def _load_rows(of_post: QuerySet[Comment]) -> list[CommentRow]:
    rows = of_post.annotate(snapshot=CurrentSnapshot())
    return [CommentRow(*row) for row in rows.values_list("pk", "parent_id", "author_id", "deleted_at", "snapshot")]


# 2. Order


def _votes_for_cursor(pending: Mapping[int, Counts]) -> dict[int, Counts]:
    """The pending votes that set the order of all pages, the first included: not more than a cursor can store."""
    votes = ((comment_id, own) for comment_id, own in pending.items() if own.has_votes)
    return dict(islice(votes, MAX_PENDING_VOTES))


def _counts_then(of_post: QuerySet[Comment], snapshot: Snapshot) -> dict[int, Counts]:
    """The votes of the comments that have changed since the snapshot, as they were then."""
    changes = snapshot.changes_since(Entity.COMMENT).filter(entity_id__in=of_post.values("pk"))
    # Newest first: of one comment's changes the oldest is read last and stays in the dictionary.
    rows = changes.order_by("-pk").values_list("entity_id", "upvotes", "downvotes")
    return {comment_id: Counts(upvotes, downvotes) for comment_id, upvotes, downvotes in rows}


def _reading_order(rows: Sequence[CommentRow], ranks: Mapping[int, Counts], viewer: Viewer) -> list[Place]:
    """All comments, each reply somewhere after its parent."""
    hidden = hidden_author_ids(viewer)
    by_id = {row.comment_id: row for row in rows}
    replies: dict[int | None, list[int]] = defaultdict(list)
    for row in rows:
        replies[row.parent_id].append(row.comment_id)
    for siblings in replies.values():
        siblings.sort(key=lambda comment_id: (-_confidence(ranks.get(comment_id)), comment_id))
    order: list[Place] = []
    # An explicit stack, since a thread may be deeper than Python's recursion limit.
    ahead = [(comment_id, 0) for comment_id in reversed(replies[None])]
    while ahead:
        comment_id, depth = ahead.pop()
        row = by_id[comment_id]
        shown = not row.deleted_at and row.author_id not in hidden
        order.append(Place(comment_id, row.parent_id, depth, shown))
        ahead += [(reply, depth + 1) for reply in reversed(replies.get(comment_id, ()))]
    return order


def _confidence(counts: Counts | None) -> float:
    return confidence(counts.upvotes, counts.downvotes) if counts else 0.0


def _without_empty_branches(order: list[Place]) -> list[Place]:
    """Without the hidden comments that have no shown comment below them."""
    kept: list[Place] = []
    with_replies: set[int | None] = set()
    for place in reversed(order):
        if place.shown or place.comment_id in with_replies:
            kept.append(place)
            with_replies.add(place.parent_id)
    return kept[::-1]


# 3. Cut out


def _start_after(last_id: int, *, order: list[Place], places: list[Place]) -> int:
    """Where the next page begins: after the last comment shown, even if that has lost its place meanwhile."""
    index = next((index for index, place in enumerate(order) if place.comment_id == last_id), None)
    if index is None:
        raise BadCursorError
    passed = {place.comment_id for place in order[: index + 1]}
    return sum(place.comment_id in passed for place in places)


def _start_for(places: list[Place], *, focus: int | None, size: int) -> int:
    """Where the page that holds one comment begins: at the top, else at the root of its thread, else at itself."""
    found = next((index for index, place in enumerate(places) if place.comment_id == focus), 0)
    if found < size:
        return 0
    root = next(index for index in range(found, -1, -1) if places[index].depth == 0)
    return root if found - root < size else found


# 4. Load the contents


def _load_contents(page: Sequence[Place]) -> list[Comment]:
    """The comments of a page with `depth shown`. One that was deleted from the table meanwhile is left out."""
    found = Comment.objects.select_related("author").in_bulk([place.comment_id for place in page])
    comments = []
    for place in page:
        if (comment := found.get(place.comment_id)) is None:
            continue
        comment.depth, comment.shown = place.depth, place.shown  # type: ignore[attr-defined]
        comment.content = comment.content if place.shown else ""
        comments.append(comment)
    return comments
