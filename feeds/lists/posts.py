"""Timeline: the lists of posts as one viewer reads them, by key and never by offset.

What is deleted, and whom the viewer blocked or muted (or who blocked the viewer), is left out here, at read, whatever a
subscriber has or has not done yet; the viewer's own posts are merged in here for the same reason.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Literal

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from feeds import ranking
from feeds.home_feed import last_seen as presence
from feeds.home_feed.on_read import pulled_for
from feeds.lists.pagination import SIZE, Page, before, cursor_after, key_of, microseconds_of, moment_of, page_of
from feeds.lists.presentation import present_posts, present_posts_by_id
from feeds.lists.snapshot import Sight, Snapshot
from feeds.lists.visibility import Viewer, signed_in, without_hidden
from feeds.models import Circle, Entity, EntityCounts, FeedEntry, Follow, Membership, Post, User

Sort = Literal["hot", "new", "top", "controversial"]
Period = Literal["day", "week", "month", "year", "all"]

PERIODS = {"day": 1, "week": 7, "month": 30, "year": 365}
#: So many of the viewer's newest posts are looked at for some that have no rank yet.
FRESH = 50

#: The columns by which lists are ordered, of counts and earlier counts alike.
RANKS = {"hot": "hot", "top": "score", "controversial": "controversy"}

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

    Read on by its cursor, for up to a day, a ranked list goes on in the order in which it was when reading began: it
    shows none twice and omits none but what is no longer there. Later it goes on by the ranks of now.

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
    name, rank = f"{sort}/{period}", RANKS[sort]
    key, snapshot, began = None, None, timezone.now()
    if cursor is not None:
        begun, value, post_id = key_of(cursor, name, str, int if sort == "top" else float, int)
        key, snapshot = (value, post_id), Snapshot.read(begun)
        began = snapshot.moment
    # The window of a period stands still while one reads on, or posts would drop out between two pages.
    since = _since(period, began)
    if since is not None:
        listed = listed.filter(published_at__gte=since)
    here = Exists(listed.filter(pk=OuterRef("entity_id")))
    counts = EntityCounts.objects.filter(here, entity_type=Entity.POST)
    # In this order: what is ranked between two of the statements, or changes, is found by both.
    found = _fresh(sort, listed, viewer)
    if key is None or snapshot is None:
        rows = _highest_first(counts, rank).annotate(sight=Sight()).values_list("entity_id", rank, "sight")
        found += rows[: size + 1]
        # Of the ranked ones if there are any: they come last.
        snapshot = Snapshot.begun(began, found[-1][-1]) if found else None
    else:
        below = before(rank, "entity_id", key)
        changes = snapshot.changes(Entity.POST)
        unchanged = counts.filter(below, ~Exists(changes.filter(entity_id=OuterRef("entity_id"))))
        rows = _highest_first(unchanged, rank).values_list("entity_id", rank, Exists(changes))
        page = list(rows[: size + 1])
        found += page
        if not page or page[0][-1]:
            changed = snapshot.changed(Entity.POST).filter(below, here)
            if len(page) > size:
                changed = changed.filter(**{f"{rank}__gte": page[-1][1]})
            found += _highest_first(changed, rank).values_list("entity_id", rank)[: size + 1]
    ranks = {post_id: value for post_id, value, *_ in found}
    keys = [(value, post_id) for post_id, value in ranks.items() if key is None or (value, post_id) < key]
    return _page(
        sorted(keys, reverse=True)[: size + 1], size, lambda last: cursor_after(name, str(snapshot), *last), viewer
    )


def _highest_first(rows: QuerySet[Any], rank: str) -> QuerySet[Any]:
    return rows.order_by(f"-{rank}", "-entity_id")


def _fresh(sort: str, listed: QuerySet[Post], viewer: Viewer) -> list[tuple[Any, ...]]:
    """The viewer's own posts that no subscriber has ranked yet: id, rank, and what is seen with them."""
    user = signed_in(viewer)
    if user is None:
        return []
    ranked = Exists(EntityCounts.objects.filter(entity_type=Entity.POST, entity_id=OuterRef("pk")))
    newest = listed.filter(author=user).annotate(ranked=ranked, sight=Sight()).order_by("-published_at", "-pk")
    return [
        (post_id, {"hot": ranking.hot(0, 0, published_at.timestamp()), "top": 0}.get(sort, 0.0), sight)
        for post_id, published_at, is_ranked, sight in newest.values_list("pk", "published_at", "ranked", "sight")[
            :FRESH
        ]
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
    return cursor_after(name, microseconds_of(key[0]), key[1])


def _moment_key(cursor: str | None, name: str) -> Key | None:
    if cursor is None:
        return None
    microseconds, row_id = key_of(cursor, name, int, int)
    return moment_of(microseconds), row_id


def _since(period: Period, now: dt.datetime) -> dt.datetime | None:
    return None if period == "all" else now - dt.timedelta(days=PERIODS[period])
