"""Lists: posts in an order that the address names."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest

from feeds.lists import posts as timeline
from feeds.models import Circle, User


class Listing:
    """What `?sort=…&period=…&cursor=…` asks for; whose posts, and of which circle, the page knows."""

    def __init__(
        self, request: HttpRequest, default: str, *, circle: Circle | None = None, author: User | None = None
    ) -> None:
        self._viewer, self._cursor = request.user, request.GET.get("cursor")
        self._circle, self._author = circle, author
        self.sort = request.GET.get("sort", default)
        self.period = request.GET.get("period", "all") if self.sort in ("top", "controversial") else "all"

    def context(self) -> dict[str, Any]:
        """For the template. Raises Http404 for an order that there is not, BadCursorError."""
        if self.sort not in ("new", *timeline.RANKS) or self.period not in ("all", *timeline.PERIODS):
            raise Http404
        page = timeline.posts(
            self.sort,  # type: ignore[arg-type]
            period=self.period,  # type: ignore[arg-type]
            circle=self._circle,
            author=self._author,
            viewer=self._viewer,
            cursor=self._cursor,
        )
        return {"page": page, "sort": self.sort, "period": self.period, "live": self._live_address()}

    def _live_address(self) -> str:
        """Where the script asks whether there is something new; only the newest of a list by time can be."""
        if self.sort != "new" or self._cursor is not None:
            return ""
        about = {"circle": self._circle and self._circle.slug, "author": self._author and self._author.username}
        return "/api/posts?" + urlencode({"sort": "new"} | {name: value for name, value in about.items() if value})
