"""Listing: a user's notices page by page, each with its `text` and `link`."""

from __future__ import annotations

from feeds.lists.pagination import PAGE_SIZE, Page, cursor_after, cursor_key, page_of
from feeds.models import User
from notifications.models import Notification
from notifications.notices import wording
from notifications.notices.subjects import refresh


def latest_notices(user: User, *, cursor: str | None = None, size: int = PAGE_SIZE) -> Page[Notification]:
    """The notices that are not withdrawn, the latest first. Raises BadCursorError."""
    rows = Notification.objects.shown().filter(user=user).order_by("-seq")
    if cursor is not None:
        rows = rows.filter(seq__lt=cursor_key(cursor, "inbox", int)[0])
    return _worded(page_of(rows[: size + 1], size=size, cursor=lambda last: cursor_after("inbox", last.seq)))


def notices_after(user: User, *, after: int, cursor: str | None = None, size: int = PAGE_SIZE) -> Page[Notification]:
    """The notices changed after a number that are not withdrawn, in order, for clients without a socket.

    Raises BadCursorError.
    """
    if cursor is not None:
        (after,) = cursor_key(cursor, "news", int)
    rows = Notification.objects.shown().filter(user=user, seq__gt=after).order_by("seq")
    return _worded(page_of(rows[: size + 1], size=size, cursor=lambda last: cursor_after("news", last.seq)))


def _worded(page: Page[Notification]) -> Page[Notification]:
    for notice in refresh(page.items):
        notice.text, notice.link = wording.text(notice.kind, notice.data), wording.link(notice.kind, notice.data)
    return page
