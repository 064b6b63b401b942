"""Draining: before the server stops, its sockets are told when to come back, so that they do not all come at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from typing import Any

from notifications.sockets import sockets


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    """The server's life (ASGI). Its shutdown message comes when the sockets are closed already; the signal before."""
    await receive()
    restore = drain_on_signals()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    restore()
    await send({"type": "lifespan.shutdown.complete"})


def drain_on_signals() -> Callable[[], None]:
    """Drain on SIGTERM and SIGINT, before what the server does on them; returns what undoes it."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    loop = asyncio.get_running_loop()
    draining: set[asyncio.Task[None]] = set()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: Any) -> None:
        loop.call_soon_threadsafe(lambda: draining.add(loop.create_task(sockets.drain())))
        next_handler = before[signal.Signals(number)]
        if callable(next_handler):
            next_handler(number, frame)

    ours = [number for number, handler in before.items() if callable(handler)]
    for number in ours:
        signal.signal(number, handle)

    def restore() -> None:
        for number in ours:
            signal.signal(number, before[number])

    return restore
