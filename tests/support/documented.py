"""Documented: in every test, an answer of the API has a status that the OpenAPI document lists for its operation."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

from airy.api import api


@sync_and_async_middleware
def documented(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: raises AssertionError for a status that is not listed. A crash (5xx) never is."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponse:
            return _checked(request, await get_response(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponse:
        return _checked(request, get_response(request))

    return answer


@cache
def statuses() -> dict[str, set[int]]:
    """The statuses of each operation, by "METHOD /api/path/{parameter}"."""
    return {
        f"{method.upper()} {path}": set(map(int, operation["responses"]))
        for path, operations in api.get_openapi_schema(path_prefix="/api/")["paths"].items()
        for method, operation in operations.items()
    }


def _checked(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    if request.resolver_match is not None and response.status_code < 500:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", request.resolver_match.route)
        listed = statuses().get(f"{request.method} /{path}")
        assert listed is None or response.status_code in listed, (request.method, path, response.status_code)
    return response
