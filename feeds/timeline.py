"""Timeline: the lists of posts as one viewer reads them, by key and never by offset.

What is deleted, and whom the viewer blocked or muted (or who blocked the viewer), is left out here, at read, whatever a
subscriber has or has not done yet; the viewer's own posts are merged in here for the same reason.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Literal

from django.db.models import Case, Exists, F, FloatField, OuterRef, Q, QuerySet, When
from django.db.models.functions import Cast, Greatest, Least, Power
from django.utils import timezone

from feeds import presence, ranking
from feeds.audience import Viewer, signed_in, without_hidden
from feeds.models import Circle, Entity, EntityCounts, FeedEntry, Follow, Membership, Post, User
from feeds.pages import SIZE, BadCursorError, Page, before, cursor_after, key_of, page_of
from feeds.presentation import present_posts, present_posts_by_id
from feeds.pulling import pulled_for

Sort = Literal["hot", "new", "top", "controversial"]
Period = Literal["day", "week", "month", "year", "all"]

PERIODS = {"day": 1, "week": 7, "month": 30, "year": 365}
#: So many of the viewer's newest posts are looked at for some that have no rank yet.
FRESH = 50

_votes = Cast(F("upvotes") + F("downvotes"), FloatField())
_balance = Cast(Least("upvotes", "downvotes"), FloatField()) / Cast(Greatest("upvotes", "downvotes"), FloatField())
RANKS: dict[str, Any] = {
    "hot": F("hot"),
    "top": F("score"),
    "controversial": Case(
        When(upvotes__gt=0, downvotes__gt=0, then=Power(_votes, _balance)), default=0.0, output_field=FloatField()
    ),
}
#: Where a post stood before it fell. What is no longer as controversial as it was may be read twice.
BEFORE = {"hot": "hot_before", "top": "score_before"}
#: Clocks are so far apart, and counts so long under way, at most.
SLACK = dt.timedelta(seconds=5)

Key = tuple[Any, int]


def home(viewer: User, *, cursor: str | None = None, size: int = SIZE) -> Page[Post]:
    """The viewer's feed, newest first: whom they follow, their circles, and themselves.

    Raises BadCursorError.
    """
    presence.seen(viewer)
    key = _moment_key(cursor, "home")
    followed = Exists(Follow.objects.filter(follower=viewer, followee=OuterRef("author_id")))
    joined = Exists(Membership.objects.filter(user=viewer, circle__posts=OuterRef("post_id")))
    visible = without_hidden(Post.objects.visible(), viewer)
    theirs = Exists(visible.filter(pk=OuterRef("post_id")))
    entries = FeedEntry.objects.filter(theirs, followed | joined, user=viewer).values_list("published_at", "post_id")
    own = visible.of(viewer).values_list("published_at", "pk")
    keys: set[Key] = {*_newest_first(entries, key, id_name="post_id")[: size + 1], *_newest_first(own, key)[: size + 1]}
    pulled = pulled_for(viewer).filter(theirs).values_list("published_at", "post_id")
    if len(keys) > size:
        pulled = pulled.filter(published_at__gte=sorted(keys, reverse=True)[size][0])
    keys.update(_newest_first(pulled, key, id_name="post_id")[: size + 1])
    return _page(sorted(keys, reverse=True)[: size + 1], size, lambda last: _moment_cursor("home", last), viewer)


def posts(
    sort: Sort = "hot",
    *,
    period: Period = "all",
    circle: Circle | None = None,
    author: User | None = None,
    viewer: Viewer = None,
    cursor: str | None = None,
    size: int = SIZE,
) -> Page[Post]:
    """Visible posts, best first by `sort`, published within `period`, of a circle or an author where given.

    Read on by its cursor, a list shows none twice (but a controversial one, perhaps) and omits none whose votes stay.

    Raises ValueError for an unknown sort or period, BadCursorError for a cursor of another list.
    """
    if sort != "new" and sort not in RANKS:
        raise ValueError(f"sort must be hot, new, top or controversial; it is {sort!r}")
    if period != "all" and period not in PERIODS:
        raise ValueError(f"period must be day, week, month, year or all; it is {period!r}")
    listed = Post.objects.visible()
    if circle is not None:
        listed = listed.filter(circle=circle)
    if author is not None:
        listed = listed.of(author)
    # Who opens a muted author's own page wants to see it.
    listed = without_hidden(listed, viewer, muted=author is None)
    if sort == "new":
        return _new(listed, period, viewer, cursor, size)
    return _ranked(sort, listed, period, viewer, cursor, size)


def post(post_id: int, *, viewer: Viewer = None) -> Post:
    """One visible post, or the viewer's own draft, presented. Raises Post.DoesNotExist."""
    return present_posts([readable(viewer).select_related("author", "circle").get(pk=post_id)], viewer=viewer)[0]


def readable(viewer: Viewer) -> QuerySet[Post]:
    """The posts that the viewer may open: the visible ones, and the viewer's own drafts."""
    shown = Post.VISIBLE
    if user := signed_in(viewer):
        shown |= Q(author=user, deleted_at=None)
    return without_hidden(Post.objects.filter(shown), viewer, muted=False)


def drafts(viewer: User, *, cursor: str | None = None, size: int = SIZE) -> Page[Post]:
    """What the viewer has begun and not published, the latest first. Raises BadCursorError."""
    rows = Post.objects.drafts_of(viewer).select_related("author", "circle")
    rows = _newest_first(rows, _moment_key(cursor, "drafts"), time_name="updated_at")
    page = page_of(
        rows[: size + 1], size=size, cursor=lambda last: _moment_cursor("drafts", (last.updated_at, last.pk))
    )
    return Page(items=present_posts(page.items, viewer=viewer), next_cursor=page.next_cursor)


def _new(listed: QuerySet[Post], period: Period, viewer: Viewer, cursor: str | None, size: int) -> Page[Post]:
    since, key = _since(period, timezone.now()), _moment_key(cursor, "new")
    if since is not None:
        listed = listed.filter(published_at__gte=since)
    keys = list(_newest_first(listed.values_list("published_at", "pk"), key)[: size + 1])
    return _page(keys, size, lambda last: _moment_cursor("new", last), viewer)


def _ranked(
    sort: str, listed: QuerySet[Post], period: Period, viewer: Viewer, cursor: str | None, size: int
) -> Page[Post]:
    name, key, started = f"{sort}/{period}", None, timezone.now()
    if cursor is not None:
        began, rank, post_id = key_of(cursor, name, int, int if sort == "top" else float, int)
        if began < 0:
            raise BadCursorError
        key, started = (rank, post_id), _moment(began)
    # The window of a period stands still while one reads on, or posts would drop out between two pages.
    since = _since(period, started)
    if since is not None:
        listed = listed.filter(published_at__gte=since)
    counts = EntityCounts.objects.filter(Exists(listed.filter(pk=OuterRef("entity_id"))), entity_type=Entity.POST)
    ranked = counts.annotate(rank=RANKS[sort]).order_by("-rank", "-entity_id")
    if key is not None:
        ranked = ranked.filter(before("rank", "entity_id", key))
        if sort in BEFORE:
            # It may have been shown higher up, before votes took it down here.
            lay_below = before(BEFORE[sort], "entity_id", key)
            ranked = ranked.filter(Q(fell_at=None) | Q(fell_at__lt=started - SLACK) | Q(lay_below))
    keys: list[Key] = list(ranked.values_list("rank", "entity_id")[: size + 1])
    keys += [fresh for fresh in _fresh(sort, listed, viewer) if key is None or fresh < key]
    keys = sorted(keys, reverse=True)[: size + 1]
    return _page(keys, size, lambda last: cursor_after(name, _microseconds(started), *last), viewer)


def _fresh(sort: str, listed: QuerySet[Post], viewer: Viewer) -> list[Key]:
    """The ranks of the viewer's own posts that no subscriber has ranked yet."""
    user = signed_in(viewer)
    if user is None:
        return []
    ranked = Exists(EntityCounts.objects.filter(entity_type=Entity.POST, entity_id=OuterRef("pk")))
    newest = listed.filter(author=user).annotate(ranked=ranked).order_by("-published_at", "-pk")
    return [
        ({"hot": ranking.hot(0, 0, published_at.timestamp()), "top": 0}.get(sort, 0.0), post_id)
        for post_id, published_at, is_ranked in newest.values_list("pk", "published_at", "ranked")[:FRESH]
        if not is_ranked and published_at is not None
    ]


def _page(keys: list[Key], size: int, cursor: Callable[[Key], str], viewer: Viewer) -> Page[Post]:
    page = page_of(keys, size=size, cursor=cursor)
    return Page(
        items=present_posts_by_id([post_id for _, post_id in page.items], viewer=viewer), next_cursor=page.next_cursor
    )


def _newest_first(rows: Any, key: Key | None, *, time_name: str = "published_at", id_name: str = "id") -> Any:
    rows = rows.order_by(f"-{time_name}", f"-{id_name}")
    if key is None:
        return rows
    return rows.filter(before(time_name, id_name, key))


def _moment_cursor(name: str, key: Key) -> str:
    return cursor_after(name, _microseconds(key[0]), key[1])


def _moment_key(cursor: str | None, name: str) -> Key | None:
    if cursor is None:
        return None
    microseconds, row_id = key_of(cursor, name, int, int)
    return _moment(microseconds), row_id


def _microseconds(moment: dt.datetime) -> int:
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def _moment(microseconds: int) -> dt.datetime:
    try:
        return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)
    except OverflowError:
        raise BadCursorError from None


def _since(period: Period, now: dt.datetime) -> dt.datetime | None:
    return None if period == "all" else now - dt.timedelta(days=PERIODS[period])
