"""Draining: before the server stops, its sockets are told when to come back, so that they do not all come at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from notifications.push.registry import sockets


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    """The server's life (ASGI). Its shutdown message comes when the sockets are closed already; the signal before."""
    await receive()
    restore = drain_on_signals()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    restore()
    await send({"type": "lifespan.shutdown.complete"})


def drain_on_signals() -> Callable[[], None]:
    """Drain on SIGTERM and SIGINT, then do what the server does on them; returns what undoes it."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    loop = asyncio.get_running_loop()
    draining: set[asyncio.Task[None]] = set()
    servers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    ours = {number: handler for number, handler in servers.items() if callable(handler)}

    async def drain_first(number: int, frame: FrameType | None) -> None:
        await sockets.drain()
        ours[signal.Signals(number)](number, frame)

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(lambda: draining.add(loop.create_task(drain_first(number, frame))))

    for number in ours:
        signal.signal(number, handle)

    def restore() -> None:
        for number, handler in ours.items():
            signal.signal(number, handler)

    return restore
