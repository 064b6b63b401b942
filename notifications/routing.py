"""Routing: the addresses of websockets."""

from typing import Any

from channels.routing import URLRouter
from django.urls import path, re_path

from notifications.consumers import NotificationConsumer


async def nothing_here(scope: Any, receive: Any, send: Any) -> None:
    """Any other address is refused."""
    await send({"type": "websocket.close", "code": 4404})


websockets = URLRouter(
    [path("ws/notifications/", NotificationConsumer.as_asgi()), re_path(r"^", nothing_here)]  # type: ignore[list-item]
)
