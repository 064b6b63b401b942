"""Serve: uvicorn in this process, ended by Ctrl-C or SIGTERM without cutting anyone off."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from notifications.live.sockets import sockets as open_sockets

#: Seconds that open requests and sockets get to finish.
GRACE = 5


def parse_address(text: str) -> tuple[str, int]:
    """ "8000", ":8000" or "127.0.0.1:8000" as host and port. Raises ValueError with the form."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not an address. Use PORT or ADDR:PORT, for example 127.0.0.1:8000")
    return host.strip("[]") or "127.0.0.1", int(port)


class Server(uvicorn.Server):
    """uvicorn's server; the signals are ours, so that what runs beside it can be drained after it."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # under the reloader, whose process takes the signals
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await open_sockets.drain()
        await super().shutdown(sockets)


def serve(host: str, port: int, *, ready: Callable[[], None]) -> bool:
    """Serve HTTP and websockets until a signal comes; `ready` is called once the port answers. False if it could not
    start."""
    config = uvicorn.Config(
        "airy.asgi:application",
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE,
    )
    server = Server(config, ready)
    try:
        asyncio.run(server.serve())
    except SystemExit:  # uvicorn's way to say that the port is taken
        return False
    return server.started
