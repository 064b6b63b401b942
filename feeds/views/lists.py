"""Listing: posts in the order that a query string names."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest

from feeds.lists.posts import SORTS, list_posts
from feeds.lists.ranked import PERIOD_DAYS
from feeds.models import Circle, User


class Listing:
    """The posts that `?sort=…&period=…&cursor=…` selects, of one circle or author where given.

    default: the sort of a request without one.
    """

    def __init__(
        self, request: HttpRequest, default: str, *, circle: Circle | None = None, author: User | None = None
    ) -> None:
        self._viewer, self._cursor = request.user, request.GET.get("cursor")
        self._circle, self._author = circle, author
        self.sort = request.GET.get("sort", default)
        self.period = request.GET.get("period", "all") if self.sort in ("top", "controversial") else "all"

    def context(self) -> dict[str, Any]:
        """The variables of a template. Raises Http404 for an unknown sort or period, BadCursorError."""
        if self.sort not in SORTS or self.period not in ("all", *PERIOD_DAYS):
            raise Http404
        page = list_posts(
            self.sort,  # type: ignore[arg-type]
            period=self.period,  # type: ignore[arg-type]
            circle=self._circle,
            author=self._author,
            viewer=self._viewer,
            cursor=self._cursor,
        )
        return {"page": page, "sort": self.sort, "period": self.period, "live": self._live_address()}

    def _live_address(self) -> str:
        """The URL that the script polls for new posts; empty unless this is the first page of a list by time."""
        if self.sort != "new" or self._cursor is not None:
            return ""
        filters = {"circle": self._circle and self._circle.slug, "author": self._author and self._author.username}
        return "/api/posts?" + urlencode({"sort": "new"} | {name: value for name, value in filters.items() if value})
