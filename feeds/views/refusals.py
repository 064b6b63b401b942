"""Refusals: the pages for refused requests: 403, 404 and 429."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from feeds.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError, TooOftenError
from feeds.lists.pagination import BadCursorError

STATUS: dict[type[Exception], int] = {NotFoundError: 404, BadCursorError: 404, NotAllowedError: 403, InvalidError: 422}


class RefusalMiddleware:
    """Turns a RefusedError or BadCursorError that a view raises into a page with the reason, also as its `refusal`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The page; None for any other exception."""
        if isinstance(error, TooOftenError):
            return too_often(request, error)
        for kind, status in STATUS.items():
            if isinstance(error, kind):
                why = error.message if isinstance(error, RefusedError) else ""
                template = "404.html" if status == 404 else "403.html"
                response = render(request, template, {"why": why}, status=status)
                response.refusal = why  # type: ignore[attr-defined]
                return response
        return None


def too_often(request: HttpRequest, refusal: TooOftenError) -> HttpResponse:
    """The page for a client that exceeded a limit, with the seconds to wait."""
    response = render(request, "429.html", {"wait": refusal.wait}, status=429)
    response["Retry-After"] = str(refusal.wait)
    response.refusal = refusal.message  # type: ignore[attr-defined]
    return response
