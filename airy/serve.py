"""Serve: uvicorn in this process; Ctrl-C and SIGTERM end it after open requests and sockets."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from events.worker import running_heartbeat
from notifications.push.registry import open_sockets

#: Seconds after which open requests and sockets are cut off.
GRACE = 5


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of "8000", ":8000" or "127.0.0.1:8000". Raises ValueError, whose message shows the form."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not an address. Use PORT or ADDR:PORT, for example 127.0.0.1:8000")
    return host.strip("[]") or "127.0.0.1", int(port)


class Server(uvicorn.Server):
    """uvicorn's server. It handles the signals itself, so that the workers in this process can stop after it."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # under the reloader, whose process handles the signals
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
    """Serve HTTP and websockets until a signal comes. False if the server could not start.

    ready: called once the port answers.
    """
    config = uvicorn.Config(
        "airy.asgi:application",
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE,
    )
    server = Server(config, ready)
    try:
        # uvloop's loop, as `uvicorn` itself
        with running_heartbeat("web"), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(server.serve())
    except SystemExit:  # uvicorn raises it if the port is taken
        return False
    return server.started
