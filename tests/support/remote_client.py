"""RemoteClient: the part of django.test.Client that Program uses, over HTTP to a server in a process of its own."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True)
class RemoteResponse:
    status_code: int
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


class RemoteClient:
    """One connection that stays open; cookies are kept, and the CSRF token is sent with them."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers: dict[str, str] = {}
        #: Answers by their status.
        self.statuses: Counter[int] = Counter()

    def get(self, path: str, query: dict[str, Any], headers: dict[str, str]) -> RemoteResponse:
        return self.generic("GET", f"{path}?{urlencode(query)}" if query else path, headers=headers)

    def generic(
        self,
        method: str,
        path: str,
        data: str | bytes = b"",
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> RemoteResponse:
        sent = {"Content-Type": content_type} | self._headers | (headers or {})
        self._connection.request(method, path, data or None, sent)
        answer = self._connection.getresponse()
        content = answer.read()
        if set_cookies := answer.headers.get_all("Set-Cookie"):
            cookies = SimpleCookie("; ".join(one.split(";")[0] for one in set_cookies))
            self._headers["Cookie"] = "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items())
            self._headers["X-CSRFToken"] = cookies["csrftoken"].value
        self.statuses[answer.status] += 1
        return RemoteResponse(answer.status, content)
