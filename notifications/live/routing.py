"""Routing: the addresses of websockets."""

from typing import Any

from channels.routing import URLRouter
from django.urls import re_path

from notifications.live.consumers import NotificationConsumer


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application that refuses the handshake: there is nothing at this address."""
    await send({"type": "websocket.close", "code": 4404})


def at(address: Any, application: Any) -> Any:
    """An ASGI application under an address."""
    return re_path(address, application)


websockets = URLRouter([at(r"^ws/notifications/$", NotificationConsumer.as_asgi()), at(r"^", refuse)])
