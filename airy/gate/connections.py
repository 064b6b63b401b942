"""Connections: how long and how many an address may have open to uvicorn, which has no such limits of its own.

A connection is closed when

1. the head of a request is not there HEAD_SECONDS after the connection was made or the answer before was sent, or is
   larger than HEAD_BYTES,
2. what was sent waits for ANSWER_SECONDS, and the client took less than a buffer full of it (48 KB), websockets too,
3. the address has CONNECTIONS_PER_ADDRESS already (not for a trusted proxy).

The body has its deadline in `airy.gate.body`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import structlog
import uvicorn
from django.conf import settings
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from airy.gate.proxies import Proxies
from feeds.limits.addresses import network, parse
from feeds.limits.full import refused_as_full
from feeds.limits.limit import REFUSED

logger = structlog.get_logger("airy.gate")

#: Seconds between two looks at the open connections, at most.
SWEEP = 1.0
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Watched:
    """What is watched of each connection: does the client take what is sent?"""

    __slots__ = ("peer", "sends_since", "transport")

    transport: asyncio.Transport
    #: The client's address, or its network; and since when something waits that was sent.
    peer: str
    sends_since: float | None

    def is_too_slow(self, now: float) -> bool:
        """Whether the client has used up its time."""
        if self.transport.get_write_buffer_size() == 0:
            self.sends_since = None
        elif self.sends_since is None:
            self.sends_since = now
        return self.sends_since is not None and now - self.sends_since > settings.ANSWER_SECONDS

    @property
    def is_gone(self) -> bool:
        """Whether the socket is closed; a websocket's protocol hears of it, its HTTP protocol does not."""
        return self.transport.is_closing() and self.transport.get_write_buffer_size() == 0


class Websocket(Watched):
    """A connection that was upgraded. Its HTTP protocol, with the parser and the headers, is not needed any more."""

    __slots__ = ()

    def __init__(self, connection: Watched) -> None:
        self.transport, self.peer, self.sends_since = connection.transport, connection.peer, connection.sends_since


class BoundedProtocol(Watched, HttpToolsProtocol):
    """uvicorn's HTTP protocol within bounds."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the inherited one
        super().connection_made(transport)
        self.waits_for_head_since: float | None = self.loop.time()
        self.sends_since = None
        self._unused = 0
        self.peer = network(self.client[0] if self.client else "")
        if not watch.add(self):
            refused_as_full("CONNECTIONS_PER_ADDRESS", limit="connections")
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        watch.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unused += len(data)
        super().data_received(data)
        if self._unused > settings.HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._unused, self.waits_for_head_since = 0, None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unused = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:  # no other request is under way
            self.waits_for_head_since = self.loop.time()

    def resume_writing(self) -> None:
        self.sends_since = None
        super().resume_writing()

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        watch.replace(self, Websocket(self))

    def is_too_slow(self, now: float) -> bool:
        since = self.waits_for_head_since
        return super().is_too_slow(now) or (since is not None and now - since > settings.HEAD_SECONDS)


class Watch:
    """The open connections of this process."""

    def __init__(self) -> None:
        self._open: set[Watched] = set()
        self._of_peer: Counter[str] = Counter()
        self._proxies: Proxies | None = None
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: BoundedProtocol) -> bool:
        """Watch a connection from now on; False, and not watched, if its address has too many."""
        self._proxies = self._proxies or Proxies(settings.TRUSTED_PROXIES)
        if (
            settings.RATE_LIMITS
            and self._of_peer[connection.peer] >= settings.CONNECTIONS_PER_ADDRESS
            and not self._proxies.trusts(parse(connection.client[0]) if connection.client else None)
        ):
            return False
        self._open.add(connection)
        self._of_peer[connection.peer] += 1
        if self._timer is None:
            self._sweep_later(connection.loop)
        return True

    def replace(self, before: Watched, connection: Watched) -> None:
        """Watch a connection in the place of another one of the same address; does nothing if that was not watched."""
        if before in self._open:
            self._open.remove(before)
            self._open.add(connection)

    def remove(self, connection: Watched) -> None:
        """Watch a connection no longer; does nothing if it was not watched."""
        if connection in self._open:
            self._open.remove(connection)
            self._of_peer[connection.peer] -= 1
            if not self._of_peer[connection.peer]:
                del self._of_peer[connection.peer]

    def _sweep_later(self, loop: asyncio.AbstractEventLoop) -> None:
        interval = min(SWEEP, settings.HEAD_SECONDS / 4, settings.ANSWER_SECONDS / 4)
        self._timer = loop.call_later(interval, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self._open):
            if connection.is_gone:
                self.remove(connection)
            elif connection.is_too_slow(now):
                REFUSED.labels(limit="slow").inc()
                connection.transport.abort()
        self._timer = None
        if self._open:
            self._sweep_later(loop)


watch = Watch()


def bound(config: uvicorn.Config) -> None:
    """Put a loaded configuration of uvicorn within bounds, whatever options it was started with."""
    if issubclass(config.http_protocol_class, HttpToolsProtocol):
        config.http_protocol_class = BoundedProtocol
    else:
        logger.warning("slow clients are not ended: start uvicorn without --http", http=str(config.http))
    config.ws_max_size = min(config.ws_max_size, settings.SOCKET_FRAME_BYTES)
    config.ws_per_message_deflate = False
    if isinstance(config.loaded_app, ProxyHeadersMiddleware):  # it would believe any program on this host
        config.loaded_app = config.loaded_app.app


def bound_servers() -> None:
    """Bound every uvicorn server of this process that starts from now on.

    `uvicorn airy.asgi:application` has no option for a protocol of one's own; it imports the application before it
    starts to listen. The seam is `uvicorn.Server.startup`, with `Config.http_protocol_class` and `Config.loaded_app`.
    """
    start: Any = uvicorn.Server.startup
    if getattr(start, "is_bounded", False):
        return

    async def startup(self: uvicorn.Server, sockets: Any = None) -> None:
        bound(self.config)
        await start(self, sockets)

    startup.is_bounded = True  # type: ignore[attr-defined]
    uvicorn.Server.startup = startup  # type: ignore[method-assign]
