"""Thread: the comments of a post as one viewer reads them, each level best first, replies beneath their parent.

All pages keep one order: by the votes as the viewer saw them when reading began. A comment written since then stands
below its siblings, so that these keep their places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from feeds.counts.counts import Counts
from feeds.lists.columns import Column, numbers
from feeds.lists.pagination import BadCursorError, Page, cursor_after, cursor_key
from feeds.lists.presentation import present_comments
from feeds.lists.reading_order import Place, ReadingOrder, Votes
from feeds.lists.snapshot import CurrentSnapshot, Snapshot
from feeds.lists.visibility import Viewer, hidden_author_ids, user_or_none
from feeds.models import Comment, Entity, EntityCounts, Post, Uncounted

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

    1. Load all comments without their contents, and their votes.
    2. Order them by the votes of the moment when reading began, as far as this page needs.
    3. Cut out the page.
    4. Load the contents of the page.
    """
    now, of_post = timezone.now(), Comment.objects.filter(post=post)
    position = None if cursor is None else ThreadCursor.read(cursor)

    comments = _load_comments(of_post)
    if position is None and not comments.parents:
        return Thread(items=[])
    begun = _current_snapshot(of_post) if position is None and len(comments.parents) > size else None
    counted, pending = _load_votes(of_post, viewer)

    if begun is not None:
        position = ThreadCursor(Snapshot.taken(now, begun), _votes_for_cursor(pending), None)
    if position is not None and position.snapshot.is_valid:
        votes = counted.replaced(_counts_then(of_post, position.snapshot)).plus(position.pending)
    else:
        votes = counted.plus(pending)
    order = ReadingOrder(comments.parents, votes, hidden=comments.hidden_from(viewer))

    if position is None or position.last_id is None:
        page = _page_with(focus, order=order, size=size)
    elif position.last_id in order:
        page = list(islice(order.after(position.last_id), size + 1))
    else:
        raise BadCursorError
    last = page[size - 1].comment_id if len(page) > size else None
    shown = [place.comment_id for place in page[:size]]
    counts = {one: counted.of(one).plus(pending.get(one, Counts())).at_least_zero() for one in shown}
    return Thread(
        items=present_comments(_load_contents(page[:size]), viewer=viewer, counts=counts),
        next_cursor=None if position is None or last is None else position._replace(last_id=last).written(),
        said=len(comments.parents) - len(comments.deleted),
    )


# 1. Load


class Comments(NamedTuple):
    """All comments of a post. parents, authors: by comment, the parent None at the top level."""

    parents: dict[int, int | None]
    authors: dict[int, int]
    deleted: set[int]

    def hidden_from(self, viewer: Viewer) -> set[int]:
        """The comments whose content the viewer does not see."""
        if not (hidden := hidden_author_ids(viewer)):
            return self.deleted
        return self.deleted | {comment_id for comment_id, author_id in self.authors.items() if author_id in hidden}


def _load_comments(of_post: QuerySet[Comment]) -> Comments:
    columns = of_post.aggregate(
        ids=Column("pk"),
        parents=Column(Coalesce("parent_id", 0)),
        authors=Column("author_id"),
        deleted=Column("pk", filter=Q(deleted_at__isnull=False)),
    )
    ids, parents, authors, deleted = map(numbers, columns.values())
    return Comments(
        {one: parent or None for one, parent in zip(ids, parents, strict=True)},
        dict(zip(ids, authors, strict=True)),
        set(deleted),
    )


def _load_votes(of_post: QuerySet[Comment], viewer: Viewer) -> tuple[Votes, dict[int, Counts]]:
    """The votes that are counted, and those of the viewer that are pending. One statement reads both: a vote that is
    counted meanwhile is not read twice."""
    of_comments: dict[str, Any] = {"entity_type": Entity.COMMENT, "entity_id__in": of_post.values("pk")}
    columns = {"ids": Column("entity_id"), "up": Column("upvotes"), "down": Column("downvotes")}
    sources: list[QuerySet[Any, Any]] = [EntityCounts.objects.filter(**of_comments)]
    if user := user_or_none(viewer):
        sources.append(Uncounted.objects.filter(user=user, **of_comments))
    found = [one.order_by().values_list(Value(place)).annotate(**columns) for place, one in enumerate(sources)]
    counted, pending = Votes({}, {}), dict[int, Counts]()
    for place, *texts in found[0].union(*found[1:], all=True) if found[1:] else found[0]:
        ids, upvotes, downvotes = map(numbers, texts)
        if place == 0:
            counted = Votes(dict(zip(ids, upvotes, strict=True)), dict(zip(ids, downvotes, strict=True)))
        else:
            for one, up, down in zip(ids, upvotes, downvotes, strict=True):
                pending[one] = pending.get(one, Counts()).plus(Counts(up, down))
    return counted, pending


def _current_snapshot(of_post: QuerySet[Comment]) -> str | None:
    """As CurrentSnapshot selects it; None if no comment is left."""
    return of_post.annotate(snapshot=CurrentSnapshot()).values_list("snapshot", flat=True).first()


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


# 3. Cut out


def _page_with(focus: int | None, *, order: ReadingOrder, size: int) -> list[Place]:
    """Up to size + 1 places, with one comment among them: from the top, else from the root of its thread, else from it.

    From the top also if the comment has no place.
    """
    page = list(islice(order.from_top(), size + 1))
    if focus is None or not order.has_place(focus):
        return page
    for start in (order.root_of(focus), focus):
        if any(place.comment_id == focus for place in page[:size]):
            break
        page = list(islice(order.starting_at(start), size + 1))
    return page


# 4. Load the contents


def _load_contents(page: Sequence[Place]) -> list[Comment]:
    """The comments of a page with `depth shown`. One that was deleted from the table meanwhile is left out."""
    found = (
        Comment.objects.select_related("author")
        .with_text("html", "opening")
        .in_bulk([place.comment_id for place in page])
    )
    comments = []
    for place in page:
        if (comment := found.get(place.comment_id)) is None:
            continue
        comment.depth, comment.shown = place.depth, place.shown  # type: ignore[attr-defined]
        comment.content = comment.content if place.shown else ""
        comments.append(comment)
    return comments
