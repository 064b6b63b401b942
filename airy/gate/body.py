"""Body: a request's body, of which no more than allowed is taken, and not for longer than allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

Receive = Callable[[], Awaitable[Mapping[str, Any]]]

#: After a refusal what a client still sends is thrown away for so many seconds and bytes, so that it reads the answer:
#: a connection that is closed while data arrives is reset, and the answer with it.
LINGER_SECONDS, LINGER_BYTES = 2.0, 10_000_000


class Body:
    """An ASGI `receive` that ends the request once the body is too large or too slow.

    refused: the status to answer with, None while all is well. The application sees a client that has gone.
    """

    def __init__(self, receive: Receive, *, most: int, seconds: float) -> None:
        self._receive = receive
        self._most = most
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._taken = 0
        self._complete = False
        self.refused: int | None = None

    async def __call__(self) -> Mapping[str, Any]:
        if self.refused is not None:
            return {"type": "http.disconnect"}
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            return self._refuse(408)
        self._taken += len(message.get("body", b""))
        if self._taken > self._most:
            return self._refuse(413)
        self._complete = not message.get("more_body")
        return message

    def _refuse(self, status: int) -> Mapping[str, Any]:
        self.refused = status
        return {"type": "http.disconnect"}


async def linger(receive: Receive) -> None:
    """Throw away what the client still sends, within bounds."""
    taken, more = 0, True
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while more and taken < LINGER_BYTES:
                message = await receive()
                taken += len(message.get("body", b""))
                more = message["type"] == "http.request" and bool(message.get("more_body"))


def announced_length(scope: Mapping[str, Any]) -> int:
    """The length in Content-Length; 0 without it, or if it is no number, which the server refuses."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value)
    return 0
