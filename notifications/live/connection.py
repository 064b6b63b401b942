"""Connection: one websocket of a signed-in user, from accept to close."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

import structlog
from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth import SESSION_KEY
from django.db import DatabaseError
from redis.exceptions import RedisError

from notifications import metrics
from notifications.live.frames import language_of
from notifications.live.rounds import start_rounds
from notifications.live.stream_state import in_thread, is_banned
from notifications.push import hints
from notifications.push.registry import open_sockets

logger = structlog.get_logger("notifications.connection")

#: Seconds after which a client that has not sent hello is closed.
HELLO_WITHIN = 5.0
#: Seconds after which a client that does not take a frame is closed.
SEND_WITHIN = 5.0
#: Seconds after which a client that does not take the close frame is dropped without it.
CLOSE_WITHIN = 1.0


class Connection(AsyncWebsocketConsumer):  # type: ignore[misc]
    """The life of a socket below the protocol: its user, its groups, and how it ends."""

    user_id: int
    session_key: str
    checked: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.greeted = False
        self.ended = False
        self._stuck = False
        self.groups_joined: set[str] = set()
        self._deadline: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        except RedisError as error:  # before the first message: the channel layer does not answer
            logger.warning("a socket could not be opened", error=repr(error))
            await send({"type": "websocket.close", "code": 1013})
        finally:
            await self.leave()

    async def dispatch(self, message: Mapping[str, Any]) -> None:
        """Call the message's handler. Channels' own dispatch would first use the process's one thread for each."""
        try:
            await getattr(self, get_handler_name(message))(message)
        except (DatabaseError, RedisError) as error:
            logger.warning("a socket could not be served", error=repr(error))
            await self.end(1013)
        if self._stuck:
            raise StopConsumer

    async def connect(self) -> None:
        """Accept first, also to refuse: a browser shows a page the close code of an accepted socket only."""
        await self.accept()
        user, session = self.scope["user"], self.scope["session"]
        if not user.is_authenticated:
            banned = await in_thread(is_banned, session.get(SESSION_KEY))
            await self.end(4403 if banned else 4401)
            return
        self.user_id, self.session_key, self.checked = user.pk, session.session_key, time.monotonic()
        self.language = language_of(self.scope)
        if (close_code := open_sockets.add(self)) is not None:
            await self.end(close_code)
            return
        start_rounds()
        await self.join(hints.user_group(self.user_id))
        await self.join(hints.session_group(self.session_key))
        self._deadline = asyncio.create_task(self._expect_hello())

    async def websocket_disconnect(self, message: Mapping[str, Any]) -> None:
        raise StopConsumer

    async def end(self, code: int) -> None:
        """Close with a code; later calls do nothing."""
        if self.ended:
            return
        self.ended = True
        metrics.SOCKETS_CLOSED.labels(code=str(code)).inc()
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await self.close(code)
        except TimeoutError:
            self._stuck = True

    async def drain(self, retry_ms: int) -> None:
        """Ask the client to come back after `retry_ms` milliseconds: this server stops."""
        await self.send_frame("drain", retry_ms=retry_ms)

    async def _expect_hello(self) -> None:
        await asyncio.sleep(HELLO_WITHIN)
        if not self.greeted:
            await self.end(4408)

    async def leave(self) -> None:
        """The socket is closed: leave the registry and all groups."""
        if self._deadline is not None:
            self._deadline.cancel()
        if hasattr(self, "user_id"):
            open_sockets.remove(self)
        with contextlib.suppress(RedisError):  # groups of a lost Redis are lost with it
            for group in list(self.groups_joined):
                await self.part(group)

    async def join(self, group: str) -> None:
        """Receive the messages of a group."""
        await self.channel_layer.group_add(group, self.channel_name)
        self.groups_joined.add(group)

    async def part(self, group: str) -> None:
        """Receive the messages of a group no longer."""
        self.groups_joined.discard(group)
        await self.channel_layer.group_discard(group, self.channel_name)

    async def send_frame(self, op: str, **fields: Any) -> None:
        """Send a frame; a client that does not take it within SEND_WITHIN is closed."""
        if self.ended:
            return
        try:
            async with asyncio.timeout(SEND_WITHIN):
                await self.send(text_data=json.dumps({"op": op, **fields}, ensure_ascii=False, separators=(",", ":")))
        except TimeoutError:
            await self.end(4408)
