"""Posts: the lists of posts, and one post, as one viewer reads them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.utils import timezone

from feeds.lists.by_time import newest_first, time_cursor, time_key
from feeds.lists.pagination import PAGE_SIZE, Page, page_of
from feeds.lists.presentation import present_page, present_posts
from feeds.lists.ranked import RANK_COLUMNS, Period, RankedList, Sort, period_start
from feeds.lists.visibility import Viewer, hidden_pairs, user_or_none, without_hidden
from feeds.models import Circle, Post, User

SORTS = ("new", *RANK_COLUMNS)


def list_posts(
    sort: Sort = "hot",
    *,
    period: Period = "all",
    circle: Circle | None = None,
    author: User | None = None,
    viewer: Viewer = None,
    cursor: str | None = None,
    size: int = PAGE_SIZE,
) -> Page[Post]:
    """Visible posts, best first by `sort`, published within `period`, of a circle or an author where given.

    For a day after the first page, the following pages of a ranked list keep the order of that moment: no post comes
    twice, and none is missing unless it is no longer visible. After a day they use the current ranks.

    Raises ValueError for an unknown sort or period, BadCursorError for a cursor of another list.
    """
    if sort not in SORTS:
        raise ValueError(f"sort must be hot, new, top or controversial; it is {sort!r}")
    start = period_start(period, now=timezone.now())
    listed = Post.objects.visible()
    if circle is not None:
        listed = listed.filter(circle=circle)
    if author is not None:
        listed = listed.of(author)
    # The page of a muted author shows the author's posts: the viewer opened it on purpose.
    listed = without_hidden(listed, viewer, muted=author is None)
    if sort == "new":
        return _list_new(listed, start, viewer=viewer, cursor=cursor, size=size)
    ranked = RankedList(sort=sort, period=period, listed=listed, viewer=viewer, size=size)
    return ranked.first_page() if cursor is None else ranked.next_page(cursor)


def get_post(post_id: int, *, viewer: Viewer = None) -> Post:
    """One visible post, or the viewer's own draft, with its counts. Raises Post.DoesNotExist."""
    return present_posts([readable_posts(viewer).select_related("author", "circle").get(pk=post_id)], viewer=viewer)[0]


def readable_posts(viewer: Viewer) -> QuerySet[Post]:
    """The posts that the viewer may open: the visible ones, and the viewer's own drafts."""
    shown = Post.VISIBLE
    if user := user_or_none(viewer):
        shown |= Q(author=user, deleted_at=None)
    return without_hidden(Post.objects.filter(shown), viewer, muted=False)


def readable_pairs(pairs: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Of these pairs of a user and a post, those whose user may open the post, as `readable_posts` has it."""
    pairs = set(pairs)
    shown = ExpressionWrapper(Post.VISIBLE, output_field=BooleanField())
    rows = Post.objects.filter(pk__in={post for _, post in pairs}, deleted_at=None)
    posts = {pk: (author, visible) for pk, author, visible in rows.values_list("pk", "author_id", shown)}
    hidden = hidden_pairs({user for user, _ in pairs}, {author for author, _ in posts.values()}, muted=False)

    def is_readable(user: int, post: int) -> bool:
        author, visible = posts.get(post, (None, False))
        return author == user or (visible and (user, author) not in hidden)

    return {pair for pair in pairs if is_readable(*pair)}


def is_removed(post_id: int) -> bool:
    """Whether everybody could read it until a moderator removed it."""
    return Post.objects.filter(pk=post_id, status=Post.Status.PUBLISHED, removed_by__isnull=False).exists()


def list_drafts(viewer: User, *, cursor: str | None = None, size: int = PAGE_SIZE) -> Page[Post]:
    """The viewer's drafts, the last changed first. Raises BadCursorError."""
    rows = Post.objects.drafts_of(viewer).select_related("author", "circle").with_text("opening")
    rows = newest_first(rows, after=time_key(cursor, "drafts"), time_column="updated_at")
    page = page_of(rows[: size + 1], size=size, cursor=lambda last: time_cursor("drafts", (last.updated_at, last.pk)))
    return Page(items=present_posts(page.items, viewer=viewer), next_cursor=page.next_cursor)


def _list_new(
    listed: QuerySet[Post], start: dt.datetime | None, *, viewer: Viewer, cursor: str | None, size: int
) -> Page[Post]:
    after = time_key(cursor, "new")
    if start is not None:
        listed = listed.filter(published_at__gte=start)
    rows: QuerySet[Post, Any] = listed.values_list("published_at", "pk")
    keys = newest_first(rows, after=after)[: size + 1]
    return present_page(list(keys), size=size, cursor=lambda last: time_cursor("new", last), viewer=viewer)
