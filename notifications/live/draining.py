"""Draining: before the server stops, its clients are asked to come back, each at a time of its own."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from notifications.push.registry import open_sockets


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI lifespan. Its shutdown message comes after the sockets were closed, so draining starts at the signal."""
    await receive()
    restore = drain_on_signals()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    restore()
    await send({"type": "lifespan.shutdown.complete"})


def drain_on_signals() -> Callable[[], None]:
    """On SIGTERM and SIGINT drain, then run the server's own handler; returns a function that undoes this."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    loop = asyncio.get_running_loop()
    draining: set[asyncio.Task[None]] = set()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    callables = {number: handler for number, handler in handlers.items() if callable(handler)}

    async def drain_first(number: int, frame: FrameType | None) -> None:
        await open_sockets.drain()
        callables[signal.Signals(number)](number, frame)

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(lambda: draining.add(loop.create_task(drain_first(number, frame))))

    for number in callables:
        signal.signal(number, handle)

    def restore() -> None:
        for number, handler in callables.items():
            signal.signal(number, handler)

    return restore
