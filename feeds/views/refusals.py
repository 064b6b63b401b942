"""Refusals: the pages for refused requests: 403, 404 and 429."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from feeds.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from feeds.lists.pagination import BadCursorError

STATUS: dict[type[Exception], int] = {NotFoundError: 404, BadCursorError: 404, NotAllowedError: 403, InvalidError: 422}


class TooOftenError(RefusedError):
    """A client exceeded a limit (429). wait: seconds until it is allowed again."""

    def __init__(self, wait: int) -> None:
        super().__init__("")
        self.wait = wait


class RefusalMiddleware:
    """Turns a RefusedError or BadCursorError that a view raises into a page with the reason."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The page; None for any other exception."""
        if isinstance(error, TooOftenError):
            response = render(request, "429.html", {"wait": error.wait}, status=429)
            response["Retry-After"] = str(error.wait)
            return response
        for kind, status in STATUS.items():
            if isinstance(error, kind):
                why = error.message if isinstance(error, RefusedError) else ""
                template = "404.html" if status == 404 else "403.html"
                return render(request, template, {"why": why}, status=status)
        return None
