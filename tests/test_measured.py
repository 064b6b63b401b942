"""Measured: every request is counted by its route and outcome, and what its answer took."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch

from airy.measured import HANDSHAKES, REQUESTS, ROUTE, SECONDS, Application, Measured, NamedRoute

pytestmark = pytest.mark.anyio
START = {"type": "http.response.start", "status": 200, "headers": []}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def asked(application: Application, path: str = "/x", method: str = "GET") -> ApplicationCommunicator:
    scope = {"type": "http", "path": path, "method": method, "headers": []}
    return ApplicationCommunicator(Measured(application), scope)


def counted(*labels: str) -> float:
    return REQUESTS.labels(*labels).value


def took(*labels: str) -> float:
    """The number of answers in the histogram."""
    value = SECONDS.labels(*labels).value
    return sum(value[:-1]) if isinstance(value, list) else 0


async def test_an_answer_counts_by_route_method_and_status_once_its_last_byte_is_sent() -> None:
    async def streams(scope: Any, receive: Any, send: Any) -> None:
        request = HttpRequest()
        request.scope, request.path_info = scope, scope["path"]  # type: ignore[attr-defined]

        def view(request: HttpRequest) -> HttpResponse:
            request.resolver_match = ResolverMatch(view, (), {}, route="posts/<int:pk>")
            return HttpResponse()

        await sync_to_async(NamedRoute(view))(request)
        await send(START)
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await receive()
        await send({"type": "http.response.body", "body": b"b"})

    labels = ("/posts/<int:pk>", "write")
    before, timed = counted(*labels, "2xx"), took(*labels)
    request = asked(streams, "/posts/7", "PUT")
    await request.receive_output(5)
    await request.receive_output(5)
    assert (counted(*labels, "2xx"), took(*labels)) == (before, timed), "it is still under way"
    await request.send_input({"type": "http.request"})
    await request.receive_output(5)
    await request.wait(5)
    assert (counted(*labels, "2xx"), took(*labels)) == (before + 1, timed + 1)


@pytest.mark.parametrize("begun", [False, True])
async def test_an_application_that_fails_counts_as_5xx(begun: bool) -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        if begun:
            await send(START)
        raise RuntimeError("broken")

    before = counted("none", "read", "5xx")
    request = asked(fails)
    with pytest.raises(RuntimeError):
        await request.wait(5)
    assert counted("none", "read", "5xx") == before + 1


async def test_unknown_routes_methods_and_clients_that_left_have_one_label_each() -> None:
    async def no_answer(scope: Any, receive: Any, send: Any) -> None:
        """The client has left."""

    before = counted("none", "other", "abandoned"), counted("static", "read", "abandoned")
    for path in ("/a", "/b/../c?d"):
        await asked(no_answer, path, "BREW").wait(5)
    await asked(no_answer, "/static/airy.css").wait(5)
    assert counted("none", "other", "abandoned") == before[0] + 2
    assert counted("static", "read", "abandoned") == before[1] + 1


async def test_handshakes_of_websockets_are_counted_apart() -> None:
    async def accepts(scope: Any, receive: Any, send: Any) -> None:
        assert ROUTE not in scope
        if scope["path"] == "/ws":
            await send({"type": "websocket.accept"})

    before = [HANDSHAKES.labels(outcome).value for outcome in ("accepted", "refused")]
    for path in ("/ws", "/no"):
        await ApplicationCommunicator(Measured(accepts), {"type": "websocket", "path": path}).wait(5)
    assert [HANDSHAKES.labels(outcome).value for outcome in ("accepted", "refused")] == [one + 1 for one in before]
