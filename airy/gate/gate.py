"""Gate: the ASGI middleware in front of everything."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from math import ceil
from typing import Any

import structlog
from django.conf import settings

from airy.gate.answers import deny, refuse
from airy.gate.body import Body, Receive, announced_length
from airy.gate.proxies import REQUEST_ID, Proxies
from airy.gate.refused import refused
from airy.logs.request import HEADER, Asked, asked, new_id
from feeds.limits import network
from feeds.limits.full import refused_as_full
from feeds.limits.limit import REFUSED
from feeds.limits.local import LocalCounts

Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[Any]]

#: A load balancer is never refused.
UNCOUNTED = "/healthz"


class Gate:
    """Refuses before the application is asked: 429 above a limit of the address, 413 and 408 for a body.

    The counts are those of this process. The limits per account, which all processes share, are in
    `airy.gate.accounts`.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._proxies = Proxies(settings.TRUSTED_PROXIES)
        self._counts = LocalCounts()
        self._under_way: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._places: dict[str, asyncio.Semaphore] = {}
        self._sockets: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> Any:
        if scope["type"] not in ("http", "websocket"):
            return await self._application(scope, receive, send)
        scope = self._proxies.seen_through(scope)
        client = network(scope["client"][0] if scope["client"] else "")
        one = Asked(new_id(scope[REQUEST_ID]), scope.get("method", ""))
        asked.set(one)
        structlog.contextvars.clear_contextvars()
        if scope["type"] == "http":
            return await self._request(client, scope, receive, _with_id(send, one.id.encode()))
        return await self._handshake(client, scope, receive, send)

    async def _request(self, client: str, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        counted = settings.RATE_LIMITS and scope["path"] != UNCOUNTED
        if counted and (wait := self._why_not(client, scope)):
            await self._pause(client)
            await refuse(429, scope, receive, send, wait=wait)
        elif announced_length(scope) > settings.BODY_BYTES:
            await refuse(413, scope, receive, send)
        else:
            async with self._place(client) if counted else nullcontext():
                body = Body(receive, most=settings.BODY_BYTES, seconds=settings.BODY_SECONDS)
                await self._application(scope, body, send)
            if body.refused is not None:
                await refuse(body.refused, scope, receive, send)

    async def _handshake(self, client: str, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if settings.RATE_LIMITS:
            if wait := self._wait("handshakes", client):
                await deny(scope, receive, send, wait=wait)
                return
            if self._sockets[client] >= settings.SOCKETS_PER_ADDRESS:
                refused_as_full("SOCKETS_PER_ADDRESS", limit="sockets")
                await deny(scope, receive, send, wait=60)
                return
        with _counted(self._sockets, client):
            await self._application(scope, receive, send)

    def _why_not(self, client: str, scope: Mapping[str, Any]) -> int:
        """The seconds after which the address may ask again; 0 if it may now."""
        if wait := self._wait("address", client):
            return wait
        if refused.holds(client, scope):
            REFUSED.labels(limit="visit").inc()
            return 1
        at_once, waiting = settings.REQUESTS_AT_ONCE_PER_ADDRESS, settings.REQUESTS_WAITING_PER_ADDRESS
        if self._under_way[client] >= at_once + waiting:
            REFUSED.labels(limit="requests_at_once").inc()
            return 1
        return 0

    async def _pause(self, client: str) -> None:
        """Let a refused client wait for its answer, so that it cannot ask as fast as it is refused."""
        if self._refused[client] < settings.CONNECTIONS_PER_ADDRESS:
            with _counted(self._refused, client):
                await asyncio.sleep(settings.REFUSAL_SECONDS)

    @asynccontextmanager
    async def _place(self, client: str) -> AsyncIterator[None]:
        """A place among the requests of an address that run at once, as soon as one is free."""
        places = self._places.setdefault(client, asyncio.Semaphore(settings.REQUESTS_AT_ONCE_PER_ADDRESS))
        try:
            with _counted(self._under_way, client):
                async with places:
                    yield
        finally:
            if client not in self._under_way:
                self._places.pop(client, None)

    def _wait(self, name: str, client: str) -> int:
        """Count one request. Returns 0 if it is allowed, else the seconds until it is."""
        wait = ceil(self._counts.spend(f"{name}/{client}", getattr(settings, f"LIMIT_{name.upper()}")))
        if wait:
            REFUSED.labels(limit=name).inc()
        return wait


def _with_id(send: Send, request_id: bytes) -> Send:
    """A `send` whose answer says the id of the request."""

    async def send_with_id(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (HEADER, request_id)]
        await send(message)

    return send_with_id


@contextmanager
def _counted(counts: Counter[str], client: str) -> Iterator[None]:
    counts[client] += 1
    try:
        yield
    finally:
        counts[client] -= 1
        if not counts[client]:
            del counts[client]
