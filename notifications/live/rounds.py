"""Rounds: at regular intervals, this process compares all its open sockets with the database.

A round sends the changes whose hints were lost, and closes the sockets of banned users and of ended sessions.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import structlog
from channels.auth import get_user
from django.conf import settings
from django.db import DatabaseError
from django.utils.module_loading import import_string

from notifications.live.stream_state import StreamState, in_thread, read_states
from notifications.push.channel_layer import is_local
from notifications.push.registry import Socket, open_sockets

logger = structlog.get_logger("notifications.sockets")

#: Seconds between two rounds, plus or minus a fifth: hints may be lost.
ROUND_INTERVAL = 30.0
#: Seconds between two rounds with an in-process layer: hints of a worker in another process never arrive.
LOCAL_INTERVAL = 2.0
#: Seconds after which a socket's session is checked again.
SESSION_INTERVAL = 300.0
#: Users in one query.
USERS_PER_QUERY = 500

_task: asyncio.Task[None] | None = None


def start_rounds() -> None:
    """Start the rounds on the running event loop, unless they already run there; they stop with the last socket."""
    global _task
    loop = asyncio.get_running_loop()
    if _task is None or _task.done() or _task.get_loop() is not loop:
        _task = loop.create_task(_repeat())


async def make_round() -> None:
    """Check every open socket once. Raises DatabaseError."""
    users = open_sockets.users()
    for start in range(0, len(users), USERS_PER_QUERY):
        chunk = users[start : start + USERS_PER_QUERY]
        states = await in_thread(read_states, chunk)
        deleted = StreamState(active=False)
        checks = [
            _check(socket, states.get(user_id, deleted))
            for user_id in chunk
            for socket in open_sockets.of_user(user_id)
        ]
        for failure in filter(None, await asyncio.gather(*checks, return_exceptions=True)):
            logger.warning("a socket could not be checked", error=repr(failure))


async def is_signed_in(socket: Socket) -> bool:
    """Whether the session that a socket was opened with still is its user's."""
    socket.checked = time.monotonic()
    store: Any = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    user = await get_user({"session": store(socket.session_key)})
    return bool(user.is_authenticated) and user.pk == socket.user_id


async def _repeat() -> None:
    while open_sockets.loop is not None:
        await asyncio.sleep(LOCAL_INTERVAL if is_local() else ROUND_INTERVAL * random.uniform(0.8, 1.2))
        try:
            await make_round()
        except DatabaseError as error:
            logger.warning("the round of the sockets failed", error=repr(error))


async def _check(socket: Socket, state: StreamState) -> None:
    if not state.active:
        await socket.end(4403)
    elif time.monotonic() - socket.checked > SESSION_INTERVAL and not await is_signed_in(socket):
        await socket.end(4401)
    elif socket.is_behind(state):
        await socket.catch_up()
