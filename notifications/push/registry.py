"""Sockets: the open websockets of this process, and the round that asks the database on their behalf."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

import structlog
from channels.auth import get_user
from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.conf import settings
from django.db import DatabaseError
from django.utils.module_loading import import_string

from notifications import metrics
from notifications.live.state import State, off_loop, read_states

logger = structlog.get_logger(__name__)

#: Sockets of one user, and of this process.
PER_USER, PER_PROCESS = 10, 2_000
#: Seconds between two rounds: hints may be lost; those of an in-process layer never cross from a worker of its own.
ROUND, LOCAL_ROUND = 30.0, 2.0
#: Seconds after which a socket's session is looked at again.
SESSION_ROUND = 300.0
#: Seconds that telling all sockets to come back may take.
DRAIN_WITHIN = 1.0
#: Users asked for in one query.
CHUNK = 500


class Socket(Protocol):
    """What the round needs of a consumer."""

    user_id: int
    session_key: str
    checked: float

    def is_behind(self, state: State) -> bool: ...
    async def catch_up(self) -> None: ...
    async def end(self, code: int) -> None: ...
    async def drain(self, retry_ms: int) -> None: ...


class Sockets:
    """A process's sockets by user. Used on the server's event loop alone, but for `loop`."""

    def __init__(self) -> None:
        self._of: dict[int, set[Socket]] = {}
        self._round: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __iter__(self) -> Iterator[Socket]:
        return iter([socket for group in self._of.values() for socket in group])

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop they are on; None if nobody is connected."""
        loop = self._loop
        return loop if self._of and loop is not None and not loop.is_closed() else None

    def enter(self, socket: Socket) -> int | None:
        """Take a socket in; or returns the code to close it with, as there are too many."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._of, self._round, self._loop = {}, None, loop
        if len(self._of.get(socket.user_id, ())) >= PER_USER:
            return 4409
        if sum(map(len, self._of.values())) >= PER_PROCESS:
            return 1013
        self._of.setdefault(socket.user_id, set()).add(socket)
        metrics.SOCKETS_OPEN.inc()
        if self._round is None or self._round.done():
            self._round = loop.create_task(self._make_rounds())
        return None

    def leave(self, socket: Socket) -> None:
        """Let a socket go."""
        group = self._of.get(socket.user_id, set())
        if socket in group:
            group.remove(socket)
            metrics.SOCKETS_OPEN.dec()
        if not group:
            self._of.pop(socket.user_id, None)

    async def make_round(self) -> None:
        """See whose stream moved without a hint, who was banned, and whose session ended."""
        users = list(self._of)
        for start in range(0, len(users), CHUNK):
            states = await off_loop(read_states, users[start : start + CHUNK])
            gone = State(active=False)
            visits = [
                _look_after(socket, states.get(user_id, gone))
                for user_id in users[start : start + CHUNK]
                for socket in self._of.get(user_id, ())
            ]
            for failure in filter(None, await asyncio.gather(*visits, return_exceptions=True)):
                logger.warning("a socket could not be looked after", error=repr(failure))

    async def drain(self) -> None:
        """The server is about to stop: tell all to come back, not all at once."""
        told = [socket.drain(random.randint(500, 5_000)) for socket in self]
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_WITHIN):
                await asyncio.gather(*told, return_exceptions=True)

    async def _make_rounds(self) -> None:
        while self._of:
            local = isinstance(get_channel_layer(), InMemoryChannelLayer)
            await asyncio.sleep(LOCAL_ROUND if local else ROUND * random.uniform(0.8, 1.2))
            try:
                await self.make_round()
            except DatabaseError as error:
                logger.warning("the round of the sockets failed", error=repr(error))


async def _look_after(socket: Socket, state: State) -> None:
    """One socket whose user's stream stands as told."""
    if not state.active:
        await socket.end(4403)
    elif time.monotonic() - socket.checked > SESSION_ROUND and not await is_signed_in(socket):
        await socket.end(4401)
    elif socket.is_behind(state):
        await socket.catch_up()


async def is_signed_in(socket: Socket) -> bool:
    """Whether the session that a socket was opened with still is its user's."""
    socket.checked = time.monotonic()
    store: Any = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    user = await get_user({"session": store(socket.session_key)})
    return bool(user.is_authenticated) and user.pk == socket.user_id


sockets = Sockets()
