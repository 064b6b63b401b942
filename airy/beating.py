"""Beating: a web process under `uvicorn` has a heartbeat, which begins and ends with the ASGI lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from events.worker import running_heartbeat

Lifespan = Callable[[Any, Any, Any], Awaitable[None]]


def beating(lifespan: Lifespan) -> Lifespan:
    """The same lifespan with a heartbeat around it. Without a lifespan, `airy.serve` has one."""

    async def with_heartbeat(scope: Any, receive: Any, send: Any) -> None:
        heartbeat = running_heartbeat("web")
        heartbeat.__enter__()
        try:
            await lifespan(scope, receive, send)
        finally:
            await asyncio.to_thread(heartbeat.__exit__, None, None, None)

    return with_heartbeat
