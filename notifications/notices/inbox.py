"""Inbox: a user's notices as their page shows them, the latest first."""

from __future__ import annotations

from feeds.lists.pagination import PAGE_SIZE, Page, cursor_after, cursor_key, page_of
from feeds.models import User
from notifications import kinds
from notifications.models import Notification
from notifications.notices.names import rename


def inbox(user: User, *, cursor: str | None = None, size: int = PAGE_SIZE) -> Page[Notification]:
    """What the user was told and was not withdrawn, each with `text` and `link`. Raises BadCursorError."""
    rows = Notification.objects.shown().filter(user=user).order_by("-seq")
    if cursor is not None:
        rows = rows.filter(seq__lt=cursor_key(cursor, "inbox", int)[0])
    return _worded(page_of(rows[: size + 1], size=size, cursor=lambda last: cursor_after("inbox", last.seq)))


def news(user: User, *, after: int, cursor: str | None = None, size: int = PAGE_SIZE) -> Page[Notification]:
    """What happened after a number, in order, as one asks who has no socket. Raises BadCursorError."""
    if cursor is not None:
        (after,) = cursor_key(cursor, "news", int)
    rows = Notification.objects.shown().filter(user=user, seq__gt=after).order_by("seq")
    return _worded(page_of(rows[: size + 1], size=size, cursor=lambda last: cursor_after("news", last.seq)))


def _worded(page: Page[Notification]) -> Page[Notification]:
    for notice in rename(page.items):
        notice.text, notice.link = kinds.text(notice.kind, notice.data), kinds.link(notice.kind, notice.data)  # type: ignore[attr-defined]
    return page
