"""Measured: how many requests were answered how, and how long it took; in front of everything, gate included."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from airy.probes import PROBES
from events.figures import Counter, Histogram

Application = Callable[[Any, Any, Any], Awaitable[Any]]

#: Where the scope of a request says which route it took.
ROUTE = "airy.route"
#: The route of what no route took: refused by the gate, answered by a middleware, or no such address.
NO_ROUTE = "none"
STATIC = "static"
METHODS = {"GET": "read", "HEAD": "read", "OPTIONS": "read"} | dict.fromkeys(
    ("POST", "PUT", "PATCH", "DELETE"), "write"
)
#: The client left before an answer began.
ABANDONED = "abandoned"

REQUESTS = Counter(
    "airy_http_requests_total",
    "Requests by route, class of method (read, write, other) and class of status; abandoned: the client left",
    labels=["route", "method", "status"],
    known=lambda: [(NO_ROUTE, "read", f"{first}xx") for first in range(2, 6)],
)
SECONDS = Histogram(
    "airy_http_request_seconds",
    "From a request until the last byte of its answer, by route and class of method",
    labels=["route", "method"],
    known=lambda: [(NO_ROUTE, "read")],
    bounds=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
HANDSHAKES = Counter(
    "airy_websocket_handshakes_total",
    "Websockets that were asked for: accepted, or refused",
    labels=["outcome"],
    known=lambda: [("accepted",), ("refused",)],
)


class Measured:
    """The ASGI middleware. A request whose application fails counts as 5xx: the server answers 500 then."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        if scope["type"] == "http":
            return await self._request(scope, receive, send)
        if scope["type"] == "websocket":
            return await self._handshake(scope, receive, send)
        return await self._application(scope, receive, send)

    async def _request(self, scope: Any, receive: Any, send: Any) -> None:
        began, status = time.perf_counter(), ABANDONED
        took = [STATIC if scope["path"].startswith(settings.STATIC_URL) else NO_ROUTE]

        async def note(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = f"{message['status'] // 100}xx"
            await send(message)

        try:
            await self._application({**scope, ROUTE: took}, receive, note)
        except Exception:
            status = "5xx"
            raise
        finally:
            method = METHODS.get(scope["method"], "other")
            REQUESTS.labels(took[0], method, status).inc()
            SECONDS.labels(took[0], method).observe(time.perf_counter() - began)

    async def _handshake(self, scope: Any, receive: Any, send: Any) -> None:
        accepted = False

        async def note(message: Any) -> None:
            nonlocal accepted
            if message["type"] == "websocket.accept":
                accepted = True
                HANDSHAKES.labels("accepted").inc()
            await send(message)

        try:
            await self._application(scope, receive, note)
        finally:
            if not accepted:
                HANDSHAKES.labels("refused").inc()


class NamedRoute:
    """Django's middleware that tells `Measured` which route a request took: the first one, so that it sees all."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        took = getattr(request, "scope", {}).get(ROUTE)
        if took is not None and took[0] != STATIC:
            if request.resolver_match is not None:
                took[0] = "/" + request.resolver_match.route
            elif request.path_info in PROBES:
                took[0] = request.path_info
        return response
