"""Rounds: at regular intervals, this process compares all its open sockets with the database.

A round sends the changes whose hints were lost, and closes the sockets of banned users and of ended sessions.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextvars import Context

import structlog
from django.conf import settings
from django.db import DatabaseError

from notifications import metrics
from notifications.live.per_loop import PerLoop
from notifications.live.stream_state import StreamState, read_states
from notifications.live.threads import in_thread
from notifications.push.channel_layer import is_local
from notifications.push.registry import Socket, open_sockets

logger = structlog.get_logger("notifications.rounds")

#: Seconds between two rounds with an in-process layer: hints of a worker in another process never arrive.
LOCAL_INTERVAL = 2.0
#: Seconds after which a socket's session is checked again.
SESSION_INTERVAL = 300.0
#: Users in one query.
USERS_PER_QUERY = 500


class Rounds:
    """The rounds of one event loop."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()

    def start(self) -> None:
        """Start them, unless they run; they stop with the last socket."""
        if self._task is None or self._task.done():
            # They are for all sockets: in the context of the first one their lines in the log would name its user.
            self._task = asyncio.get_running_loop().create_task(self._repeat(), context=Context())

    def soon(self) -> None:
        """Make the next round within LOCAL_INTERVAL: a hint came that says nothing of whom it is for."""
        self._wanted.set()

    async def _repeat(self) -> None:
        while open_sockets.loop is not None:
            await asyncio.sleep(LOCAL_INTERVAL)
            if not is_local():
                await self._rest_of_interval()
            self._wanted.clear()
            try:
                await make_round()
            except DatabaseError as error:
                logger.warning("the round of the sockets failed", error=repr(error))
            else:
                metrics.ROUND_MADE.set(time.time())
        metrics.ROUND_MADE.clear()  # there is nothing to compare any more

    async def _rest_of_interval(self) -> None:
        try:
            # The rounds of several processes spread out.
            async with asyncio.timeout(settings.SOCKET_ROUND_SECONDS * random.uniform(0.8, 1.2) - LOCAL_INTERVAL):
                await self._wanted.wait()
        except TimeoutError:
            return


rounds = PerLoop(Rounds)


async def make_round() -> None:
    """Check every open socket once. Raises DatabaseError."""
    users = open_sockets.users()
    for start in range(0, len(users), USERS_PER_QUERY):
        chunk = users[start : start + USERS_PER_QUERY]
        states = await in_thread(read_states, chunk)
        deleted = StreamState(active=False)
        for user_id in chunk:
            for socket in open_sockets.of_user(user_id):
                _check(socket, states.get(user_id, deleted))


def _check(socket: Socket, state: StreamState) -> None:
    if not state.active:
        socket.end(4403)
        return
    if time.monotonic() - socket.checked > SESSION_INTERVAL:
        socket.check_session()
        socket.recheck_watched()
    if socket.is_behind(state):
        metrics.SOCKETS_BEHIND.inc()
        socket.catch_up()
