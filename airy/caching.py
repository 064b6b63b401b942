"""Caching: what browsers and proxies may keep of an answer."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

#: An answer to one person. Nothing keeps it, so nobody reads it after signing out, on no shared machine.
PERSONAL = "private, no-store"
#: A page for anyone, in which forms have the visitor's CSRF token: kept by the visitor's browser alone, and asked for
#: again each time.
FOR_A_VISITOR = "private, no-cache"
#: An answer of the API that is the same for all who are not signed in.
FOR_ALL = "no-cache"


class CacheControl:
    """Middleware: sets Cache-Control, and the headers that an answer depends on, unless a view has set it.

    A request is a person's if it has a session or credentials, whether they are valid or not.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        is_api = request.path_info.startswith("/api/")
        if "Cache-Control" not in response.headers:
            if _is_personal(request, response):
                response.headers["Cache-Control"] = PERSONAL
            else:
                response.headers["Cache-Control"] = FOR_ALL if is_api else FOR_A_VISITOR
        if "public" not in response.headers["Cache-Control"]:  # as static files are, which are alike for everyone
            patch_vary_headers(response, ("Cookie", "Authorization") if is_api else ("Cookie",))
        return response


def _is_personal(request: HttpRequest, response: HttpResponse) -> bool:
    session = settings.SESSION_COOKIE_NAME
    return session in request.COOKIES or session in response.cookies or "Authorization" in request.headers
