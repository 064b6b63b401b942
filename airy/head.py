"""Head: HEAD is answered wherever GET is, also by the API."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class HeadLikeGet:
    """Middleware: the API's views answer HEAD as they answer GET, under the same limits.

    The server sends no body after HEAD. Views of pages know HEAD by themselves.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/api/"):
            return self._get_response(request)
        is_head = request.method == "HEAD"
        if is_head:
            request.method = "GET"
        try:
            response = self._get_response(request)
        finally:
            if is_head:
                request.method = "HEAD"
        if "GET" in (allowed := response.headers.get("Allow", "").split(", ")):
            response.headers["Allow"] = ", ".join(sorted({*allowed, "HEAD"}))
        return response
