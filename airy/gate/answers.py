"""Answers: how the gate refuses: a small page, JSON under /api/, or no websocket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, cast

from django.http import HttpRequest, parse_cookie
from django.template.loader import render_to_string
from django.utils import translation

from airy.gate.body import Receive, linger
from airy.headers import POLICY
from airy.refusals import phrase


async def refuse(
    status: int, scope: Mapping[str, Any], receive: Receive, send: Any, *, wait: int | None = None
) -> None:
    """Answer a request, and close its connection: its body was not read."""
    kind, body = _content(status, scope)
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", POLICY.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
        *([(b"retry-after", str(wait).encode())] if wait is not None else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if status == 413:
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await linger(receive)
        body = b""
    await send({"type": "http.response.body", "body": body})


async def deny(scope: Mapping[str, Any], receive: Receive, send: Any, *, wait: int) -> None:
    """Answer a handshake: 429 where the server can say so, else 403."""
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 4429})
        return
    headers = [(b"retry-after", str(wait).encode()), (b"content-length", b"0")]
    await send({"type": "websocket.http.response.start", "status": 429, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b""})


def _content(status: int, scope: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The content type, and the body in the language of the client."""
    return _content_in(_language(scope), status, scope["path"].startswith("/api/"))


@lru_cache(maxsize=64)
def _content_in(language: str, status: int, as_json: bool) -> tuple[bytes, bytes]:
    with translation.override(language):
        if as_json:
            return b"application/json", json.dumps({"detail": phrase(status)}).encode()
        page = render_to_string("refused.html", {"reason": phrase(status)})
        return b"text/html; charset=utf-8", page.encode()


def _language(scope: Mapping[str, Any]) -> str:
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    meta = {"HTTP_ACCEPT_LANGUAGE": headers.get(b"accept-language", "")}
    request = SimpleNamespace(COOKIES=parse_cookie(headers.get(b"cookie", "")), META=meta)
    return translation.get_language_from_request(cast(HttpRequest, request))
