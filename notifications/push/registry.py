"""Registry: the open sockets of this process, by user."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from django.conf import settings

from feeds.limits.full import refused_as_full
from feeds.limits.limit import REFUSED
from notifications import metrics

#: Milliseconds after which a drained client comes back, chosen at random between these two.
RETRY_MS = 500, 5_000


class Socket(Protocol):
    """The part of a consumer that is used from outside. `checked`: when its session was last checked, monotonic."""

    user_id: int
    session_key: str
    checked: float

    def is_behind(self, state: Any) -> bool:
        """Whether the stream has changes that this socket has not sent."""

    def catch_up(self) -> None:
        """Send these changes, as soon as they were read."""

    def check_session(self) -> None:
        """Close the socket unless its session is still signed in."""

    def recheck_watched(self) -> None:
        """Stop sending the counts of posts that the user may no longer see."""

    def end(self, code: int) -> None:
        """Close with a code."""

    def drain(self, retry_ms: int) -> None:
        """Ask the client to come back after `retry_ms` milliseconds."""


class SocketRegistry:
    """The sockets of one event loop. Only `loop` may be read from other threads."""

    def __init__(self) -> None:
        self._by_user: dict[int, set[Socket]] = {}
        self._count = 0
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
            self._by_user, self._count, self._loop = {}, 0, loop
        if len(self._by_user.get(socket.user_id, ())) >= settings.SOCKETS_PER_USER:
            REFUSED.labels(limit="sockets_per_user").inc()
            return 4409
        if self._count >= settings.SOCKETS_PER_PROCESS:
            refused_as_full("SOCKETS_PER_PROCESS", limit="sockets_per_process")
            return 1013
        self._count += 1
        self._by_user.setdefault(socket.user_id, set()).add(socket)
        metrics.SOCKETS_OPEN.inc()
        return None

    def remove(self, socket: Socket) -> None:
        """Remove a socket; does nothing if it was not added."""
        sockets = self._by_user.get(socket.user_id, set())
        if socket in sockets:
            sockets.remove(socket)
            self._count -= 1
            metrics.SOCKETS_OPEN.dec()
        if not sockets:
            self._by_user.pop(socket.user_id, None)

    async def drain(self) -> None:
        """The server is about to stop: ask all clients to come back, at different times."""
        for socket in self:
            socket.drain(random.randint(*RETRY_MS))
        await asyncio.sleep(0)


open_sockets = SocketRegistry()
