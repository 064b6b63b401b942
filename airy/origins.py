"""Origins: which pages may open a websocket here. A browser names the site of the page, a program names none."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from typing import Any

from channels.security.websocket import WebsocketDenier
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

Application = Callable[[Any, Any, Any], Awaitable[Any]]
#: A handshake is an HTTP request.
SCHEMES = {"ws": "http", "wss": "https"}


class OwnPages:
    """Lets in the pages of this site and of CSRF_TRUSTED_ORIGINS, asked for by a name in ALLOWED_HOSTS.

    A cookie goes with every page's handshake, so that otherwise any site could read along.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        application = self._application if may_open(scope) else WebsocketDenier()
        return await application(scope, receive, send)


def may_open(scope: dict[str, Any]) -> bool:
    """Whether a handshake is a program's, or that of a page which Django would take a form from."""
    scheme = SCHEMES.get(scope.get("scheme", "ws"), "http")
    request = ASGIRequest({**scope, "method": "GET", "scheme": scheme}, io.BytesIO())
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return "Origin" not in request.headers or CsrfViewMiddleware(HttpResponse)._origin_verified(request)  # type: ignore[attr-defined]
