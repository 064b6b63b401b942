"""Connection: a websocket of somebody signed in, from accept to close."""

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
from notifications.live.state import is_banned, off_loop
from notifications.push import hints as push
from notifications.push.registry import sockets

logger = structlog.get_logger(__name__)

#: Seconds until hello must have come; that one frame, or the last one, may take to leave.
HELLO_WITHIN, SEND_WITHIN, CLOSE_WITHIN = 5.0, 5.0, 1.0


class Connection(AsyncWebsocketConsumer):  # type: ignore[misc]
    """What a socket is before a word is said: who it belongs to, which groups it is in, and how it ends."""

    user_id: int
    session_key: str
    checked: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.greeted = False
        self.ended = False
        self._stuck = False
        self.joined: set[str] = set()
        self._deadline: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        except RedisError as error:  # before the first message: there is no channel layer to be reached by
            logger.warning("a socket could not be opened", error=repr(error))
            await send({"type": "websocket.close", "code": 1013})
        finally:
            await self.leave()

    async def dispatch(self, message: Mapping[str, Any]) -> None:
        """Channels' own dispatch first sends every event through the process's one thread; ours need none."""
        try:
            await getattr(self, get_handler_name(message))(message)
        except (DatabaseError, RedisError) as error:
            logger.warning("a socket could not be served", error=repr(error))
            await self.end(1013)
        if self._stuck:
            raise StopConsumer

    async def connect(self) -> None:
        await self.accept()
        user, session = self.scope["user"], self.scope["session"]
        if not user.is_authenticated:
            banned = await off_loop(is_banned, session.get(SESSION_KEY))
            await self.end(4403 if banned else 4401)
            return
        self.user_id, self.session_key, self.checked = user.pk, session.session_key, time.monotonic()
        self.language = language_of(self.scope)
        if (refusal := sockets.enter(self)) is not None:
            await self.end(refusal)
            return
        await self.join(push.user_group(self.user_id))
        await self.join(push.session_group(self.session_key))
        self._deadline = asyncio.create_task(self._expect_hello())

    async def websocket_disconnect(self, message: Mapping[str, Any]) -> None:
        raise StopConsumer

    async def end(self, code: int) -> None:
        """Close with a code, once."""
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
        """Ask the client to come back: this server stops."""
        await self.tell("drain", retry_ms=retry_ms)

    async def _expect_hello(self) -> None:
        await asyncio.sleep(HELLO_WITHIN)
        if not self.greeted:
            await self.end(4408)

    async def leave(self) -> None:
        """It is over: leave no trace."""
        if self._deadline is not None:
            self._deadline.cancel()
        if hasattr(self, "user_id"):
            sockets.leave(self)
        with contextlib.suppress(RedisError):  # what is gone there is gone
            for group in list(self.joined):
                await self.part(group)

    async def join(self, group: str) -> None:
        """Hear what is sent to a group."""
        await self.channel_layer.group_add(group, self.channel_name)
        self.joined.add(group)

    async def part(self, group: str) -> None:
        """Hear it no longer."""
        self.joined.discard(group)
        await self.channel_layer.group_discard(group, self.channel_name)

    async def tell(self, op: str, **fields: Any) -> None:
        """Send a frame; a client that does not take it in time is let go."""
        if self.ended:
            return
        try:
            async with asyncio.timeout(SEND_WITHIN):
                await self.send(text_data=json.dumps({"op": op, **fields}, ensure_ascii=False, separators=(",", ":")))
        except TimeoutError:
            await self.end(4408)
