"""Request: to which request or websocket a line of the log belongs."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

#: The header by which a trusted proxy gives a request its id, and by which every answer says it.
HEADER = b"x-request-id"
#: An id that is taken from a proxy.
SANE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:+/=-]{7,127}")


class Asked:
    """A request, or the handshake of a websocket. request: Django's, once Django has it."""

    __slots__ = ("id", "method", "request")

    def __init__(self, id: str, method: str) -> None:
        self.id, self.method = id, method
        self.request: HttpRequest | None = None


#: The request that this context belongs to. What a request starts and leaves behind keeps it.
asked: ContextVar[Asked | None] = ContextVar("airy_asked", default=None)


def new_id(given: bytes = b"") -> str:
    """The id that a trusted proxy gave, if it is one; else a new one."""
    return given.decode() if SANE.fullmatch(given) else secrets.token_hex(16)


def request_facts() -> dict[str, Any]:
    """What a line of this context tells of its request; nothing outside of one. Asks no database."""
    one = asked.get()
    if one is None:
        return {}
    facts = {"request_id": one.id, "method": one.method} if one.method else {"request_id": one.id}
    return facts if one.request is None else facts | facts_of(one.request)


def facts_of(request: HttpRequest) -> dict[str, Any]:
    """Method, route and user of a request, as far as they are known by now. A path may hold a token: it is left out."""
    facts: dict[str, Any] = {"method": request.method}
    if route := route_of(request):
        facts["route"] = route
    if user_id := _user_id_of(request):
        facts["user_id"] = user_id
    return facts


def route_of(request: HttpRequest) -> str:
    """The pattern of its URL; empty if there is none, or before it was looked for."""
    return getattr(request.resolver_match, "route", "") or ""


def _user_id_of(request: HttpRequest) -> int | None:
    """Whose request it is, where somebody has asked for that before."""
    known = vars(request)
    if (token := known.get("_api_token")) is not None:
        return int(token.user_id)
    if (user := known.get("_cached_user")) is not None:
        return None if user.pk is None else int(user.pk)
    session = getattr(known.get("session"), "_session_cache", {})
    return int(session["_auth_user_id"]) if "_auth_user_id" in session else None


class RequestOfLines:
    """Middleware: lets the lines of the log know the route and the user of a request. Stands before all others."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if (one := asked.get()) is not None:
            one.request = request
        return self._get_response(request)
