"""Origins: which pages may open a websocket here."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from typing import Any

from channels.security.websocket import WebsocketDenier
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest

from feeds.origins import is_from_this_site

Application = Callable[[Any, Any, Any], Awaitable[Any]]
#: A handshake is an HTTP request: the scheme of its address by that of the websocket.
SCHEMES = {"ws": "http", "wss": "https"}


class SameSiteOnly:
    """ASGI middleware: refuses the handshakes of pages of other sites.

    A browser sends the session cookie with the handshake of any page, so that any site could read the user's notices.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[Any]:
        application = self._application if is_allowed(scope) else WebsocketDenier()
        answer: Awaitable[Any] = application(scope, receive, send)
        return answer


def is_allowed(scope: dict[str, Any]) -> bool:
    """Whether a handshake is for a host of ALLOWED_HOSTS, and from a page of this site or from a program."""
    scheme = SCHEMES.get(scope.get("scheme", "ws"), "http")
    request = ASGIRequest({**scope, "method": "GET", "scheme": scheme}, io.BytesIO())
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return is_from_this_site(request)
