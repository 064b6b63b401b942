"""Registry: the open sockets of this process, by user."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol

from notifications import metrics

#: Open sockets of one user, and of this process, at which the next one is refused.
PER_USER, PER_PROCESS = 10, 2_000
#: Seconds after which `drain` stops sending "come back later" and returns.
DRAIN_TIMEOUT = 1.0
#: Milliseconds after which a drained client comes back, chosen at random between these two.
RETRY_MS = 500, 5_000


class Socket(Protocol):
    """The part of a consumer that is used from outside. `checked`: when its session was last checked, monotonic."""

    user_id: int
    session_key: str
    checked: float

    def is_behind(self, state: Any) -> bool:
        """Whether the stream has changes that this socket has not sent."""

    async def catch_up(self) -> None:
        """Send these changes."""

    async def end(self, code: int) -> None:
        """Close with a code."""

    async def drain(self, retry_ms: int) -> None:
        """Ask the client to come back after `retry_ms` milliseconds."""


class SocketRegistry:
    """The sockets of one event loop. Only `loop` may be read from other threads."""

    def __init__(self) -> None:
        self._by_user: dict[int, set[Socket]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def __iter__(self) -> Iterator[Socket]:
        return iter([socket for sockets in self._by_user.values() for socket in sockets])

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop of the sockets; None while no socket is open."""
        loop = self._loop
        return loop if self._by_user and loop is not None and not loop.is_closed() else None

    def users(self) -> list[int]:
        """The ids of the users who have an open socket."""
        return list(self._by_user)

    def of_user(self, user_id: int) -> Sequence[Socket]:
        """A user's sockets."""
        return tuple(self._by_user.get(user_id, ()))

    def add(self, socket: Socket) -> int | None:
        """Add a socket and return None; or, if there are too many, return the code to close it with."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._by_user, self._loop = {}, loop
        if len(self._by_user.get(socket.user_id, ())) >= PER_USER:
            return 4409
        if sum(map(len, self._by_user.values())) >= PER_PROCESS:
            return 1013
        self._by_user.setdefault(socket.user_id, set()).add(socket)
        metrics.SOCKETS_OPEN.inc()
        return None

    def remove(self, socket: Socket) -> None:
        """Remove a socket; does nothing if it was not added."""
        sockets = self._by_user.get(socket.user_id, set())
        if socket in sockets:
            sockets.remove(socket)
            metrics.SOCKETS_OPEN.dec()
        if not sockets:
            self._by_user.pop(socket.user_id, None)

    async def drain(self) -> None:
        """The server is about to stop: ask all clients to come back, at different times."""
        sent = [socket.drain(random.randint(*RETRY_MS)) for socket in self]
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_TIMEOUT):
                await asyncio.gather(*sent, return_exceptions=True)


open_sockets = SocketRegistry()
