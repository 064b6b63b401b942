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
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import structlog
import uvicorn
from django.conf import settings
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from airy.gate.proxies import Proxies
from feeds.limits.addresses import network, parse
from feeds.limits.full import refused_as_full
from feeds.limits.limit import REFUSED
from notifications.live.connection import WRITE

logger = structlog.get_logger("airy.gate")

#: Seconds between two looks at an open connection that is no websocket, at most.
SWEEP = 1.0
#: Connections that are looked at in one go.
AT_ONCE = 25
#: New connections that are begun with in one turn of the event loop.
ENTER_AT_ONCE = 2
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

    def cut(self) -> None:
        """Close it without waiting for the client."""
        self.transport.abort()


class BoundedProtocol(Watched, HttpToolsProtocol):
    """uvicorn's HTTP protocol within bounds."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the inherited one
        super().connection_made(transport)
        self.waits_for_head_since: float | None = self.loop.time()
        self.sends_since = None
        self.has_entered = False
        #: The requests that are not answered yet: the one that runs, and those that were sent ahead.
        self._under_way: list[RequestResponseCycle] = []
        self._unused = 0
        self.peer = network(self.client[0] if self.client else "")
        if not watch.add(self):
            refused_as_full("CONNECTIONS_PER_ADDRESS", limit="connections")
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        watch.remove(self)
        self._tell_those_under_way()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self.has_entered:
            entrance.enter(self, data)
            return
        self._unused += len(data)
        super().data_received(data)
        if self._unused > settings.HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._unused, self.waits_for_head_since = 0, None
        super().on_headers_complete()
        self._under_way = [cycle for cycle in (*self._under_way, self.cycle) if cycle and not cycle.response_complete]

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
        del self.parser  # they refer to each other, and would wait for the garbage collector
        protocol = self.transport.get_protocol()
        if isinstance(protocol, BoundedWebsocket):
            watch.upgrade(self, protocol)
        else:
            watch.remove(self)

    def is_too_slow(self, now: float) -> bool:
        since = self.waits_for_head_since
        return super().is_too_slow(now) or (since is not None and now - since > settings.HEAD_SECONDS)

    def cut(self) -> None:
        self._tell_those_under_way()
        super().cut()

    def _tell_those_under_way(self) -> None:
        """Let no request write any more: uvicorn tells the last one only, and uvloop raises an error in the others."""
        for cycle in self._under_way:
            cycle.disconnected = True
            cycle.message_event.set()


class BoundedWebsocket(Watched, WebSocketsSansIOProtocol):
    """uvicorn's protocol of a websocket within bounds. It lets the application write frames that are made already."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.sends_since = None

    def connection_lost(self, exc: Exception | None) -> None:
        watch.remove(self)
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            extensions: Any = self.scope["extensions"]
            extensions[WRITE] = self.write

    def write(self, frame: bytes) -> bool:
        """Write the bytes of one whole message, not compressed; False, and not written, if the client takes none."""
        if self.close_sent or self.disconnected or not (self.handshake_complete and self.writable.is_set()):
            return False
        self.transport.write(frame)
        return True

    def resume_writing(self) -> None:
        self.sends_since = None
        super().resume_writing()

    def cut(self) -> None:
        self.disconnected = True
        super().cut()


class Entrance:
    """Begins with new connections a few in each turn of the event loop. A crowd waits for it, and nobody else."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[BoundedProtocol, bytes]] = deque()
        self._entered = 0

    def enter(self, connection: BoundedProtocol, data: bytes) -> None:
        """Hand on the first data of a connection, at once or in its turn."""
        if self._entered == 0:
            asyncio.get_running_loop().call_soon(self._next_turn)
        if self._entered < ENTER_AT_ONCE:
            self._begin(connection, data)
        else:
            connection.transport.pause_reading()
            self._waiting.append((connection, data))

    def _next_turn(self) -> None:
        self._entered = 0
        while self._waiting and self._entered < ENTER_AT_ONCE:
            connection, data = self._waiting.popleft()
            if not connection.transport.is_closing():
                connection.transport.resume_reading()
                self._begin(connection, data)
        if self._entered:
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _begin(self, connection: BoundedProtocol, data: bytes) -> None:
        self._entered += 1
        connection.has_entered = True
        connection.data_received(data)


class Turns:
    """Looks at many connections in turn, a few at a time, each once within `seconds`, and closes those too slow."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._connections: OrderedDict[Watched, None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Watched) -> None:
        """Look at a connection, too."""
        self._connections[connection] = None
        if self._timer is None:
            self._look_later(asyncio.get_running_loop())

    def remove(self, connection: Watched) -> bool:
        """Look at a connection no longer; False if it was not among them."""
        if connection not in self._connections:
            return False
        del self._connections[connection]
        if not self._connections and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return True

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        part = min(1.0, AT_ONCE / len(self._connections))
        self._timer = loop.call_later(self._seconds() * part, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for _ in range(min(AT_ONCE, len(self._connections))):
            connection = next(iter(self._connections))
            self._connections.move_to_end(connection)
            if connection.is_too_slow(now):
                REFUSED.labels(limit="slow").inc()
                connection.cut()
        self._timer = None
        if self._connections:
            self._look_later(loop)


class Watch:
    """The open connections of this process."""

    def __init__(self) -> None:
        self._requests = Turns(lambda: min(SWEEP, settings.HEAD_SECONDS / 4, settings.ANSWER_SECONDS / 4))
        self._websockets = Turns(lambda: settings.ANSWER_SECONDS / 4)
        self._of_peer: Counter[str] = Counter()
        self._proxies: Proxies | None = None

    def add(self, connection: BoundedProtocol) -> bool:
        """Watch a connection from now on; False, and not watched, if its address has too many."""
        self._proxies = self._proxies or Proxies(settings.TRUSTED_PROXIES)
        if (
            settings.RATE_LIMITS
            and self._of_peer[connection.peer] >= settings.CONNECTIONS_PER_ADDRESS
            and not self._proxies.trusts(parse(connection.client[0]) if connection.client else None)
        ):
            return False
        self._requests.add(connection)
        self._of_peer[connection.peer] += 1
        return True

    def upgrade(self, connection: BoundedProtocol, websocket: BoundedWebsocket) -> None:
        """Watch a websocket in the place of the connection that it was."""
        websocket.peer = connection.peer
        if self._requests.remove(connection):
            self._websockets.add(websocket)

    def remove(self, connection: Watched) -> None:
        """Watch a connection no longer; does nothing if it was not watched."""
        if self._requests.remove(connection) or self._websockets.remove(connection):
            self._of_peer[connection.peer] -= 1
            if not self._of_peer[connection.peer]:
                del self._of_peer[connection.peer]


watch = Watch()
entrance = Entrance()


def bound(config: uvicorn.Config) -> None:
    """Put a loaded configuration of uvicorn within bounds, whatever options it was started with."""
    if issubclass(config.http_protocol_class, HttpToolsProtocol):
        config.http_protocol_class = BoundedProtocol
    else:
        logger.warning("slow clients are not ended: start uvicorn without --http", http=str(config.http))
    if config.ws_protocol_class is WebSocketsSansIOProtocol:
        config.ws_protocol_class = BoundedWebsocket
    else:
        logger.warning("slow websockets are not ended: start uvicorn without --ws", ws=str(config.ws))
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
