"""Routing: the addresses of websockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from notifications.live.socket import NotificationSocket

#: The application at each address.
ADDRESSES = {"/ws/notifications/": NotificationSocket.application}


def websockets(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
    """The ASGI application of all websockets. It leaves no frame and no copy of the scope behind: they are many."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    application: Callable[[Any, Any, Any], Awaitable[None]] = ADDRESSES.get(path, refuse)
    return application(scope, receive, send)


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    """Refuse the handshake: there is nothing at this address."""
    await send({"type": "websocket.close", "code": 4404})
