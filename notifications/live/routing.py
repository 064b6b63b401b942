"""Routing: the addresses of websockets."""

from typing import Any

from channels.routing import URLRouter
from django.urls import re_path

from notifications.live.consumers import NotificationConsumer


async def nothing_here(scope: Any, receive: Any, send: Any) -> None:
    """Any other address is refused."""
    await send({"type": "websocket.close", "code": 4404})


def at(address: Any, application: Any) -> Any:
    """An ASGI application under an address."""
    return re_path(address, application)


websockets = URLRouter([at(r"^ws/notifications/$", NotificationConsumer.as_asgi()), at(r"^", nothing_here)])
