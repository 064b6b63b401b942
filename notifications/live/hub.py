"""Hub: the groups of this process's sockets. The process has one channel of the layer, and each message comes once.

Channels gives each socket a channel, a queue and two tasks of its own; a message to 500 sockets is then decoded, waited
for and handed on 500 times. Here the layer knows a single channel, which joins a group with its first socket. The
layer's public interface does not tell for which group a message came, so each message names it (`push.channel_layer`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from contextvars import Context
from typing import Any, Generic, TypeVar

import structlog
from channels.layers import get_channel_layer
from django.conf import settings
from redis.exceptions import RedisError

from events import tracing
from notifications import metrics
from notifications.push.eager import begin
from notifications.push.pubsub_layer import PubSubLayer

S = TypeVar("S", bound=Hashable)
logger = structlog.get_logger("notifications.hub")

#: Seconds that the layer gets to add the process to a group.
JOIN_WITHIN = 5.0
#: Seconds that the process stays in a group without sockets: a page that is left is often followed by another.
LINGER = 5.0
#: Sockets that get a message, or messages that are handed on, before the loop sees to other things.
AT_ONCE = 50
#: How often the process makes sure, in the time from one round to the next, that it hears its channel layer.
CALLS_PER_ROUND = 3
#: The type of the message by which it does.
CALL = "hub.call"


class Hub(Generic[S]):
    """Which sockets are in which group, for one event loop.

    opened: makes of a message what is done to each socket of its group. unaddressed: called when a message names no
    group, as those of a process of the release before do.
    """

    def __init__(
        self, opened: Callable[[Mapping[str, Any]], Callable[[S], None]], *, unaddressed: Callable[[], None]
    ) -> None:
        self._opened, self._unaddressed = opened, unaddressed
        self._members: dict[str, set[S]] = {}
        self._joined: set[str] = set()
        self._changing = asyncio.Lock()
        self._channel = ""
        self._observed = 0.0
        self._arrived: deque[Mapping[str, Any]] = deque()
        self._handing_on: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._calling: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()
        self._leaving: asyncio.Task[None] | None = None

    async def join(self, group: str, socket: S) -> None:
        """Hand on the messages of a group to a socket, too. Raises RedisError, TimeoutError."""
        self._members.setdefault(group, set()).add(socket)
        if group in self._joined:
            return
        try:
            async with asyncio.timeout(JOIN_WITHIN), self._changing:
                if group not in self._joined:
                    await self._open()
                    await get_channel_layer().group_add(group, self._channel)
                    self._joined.add(group)
        except BaseException:
            self.part(group, socket)
            raise

    def part(self, group: str, socket: S) -> None:
        """Hand on the messages of a group to a socket no longer."""
        members = self._members.get(group)
        if members is None:
            return
        members.discard(socket)
        if not members:
            del self._members[group]
            if self._leaving is None or self._leaving.done():
                self._leaving = asyncio.get_running_loop().create_task(self._leave_empty_groups(), context=Context())

    async def _open(self) -> None:
        """Hear the layer, for all sockets: in the context of the first one the log would name its user."""
        if not self._channel:
            layer = get_channel_layer()
            self._channel = await layer.new_channel()
            if isinstance(layer, PubSubLayer):
                own = Context()
                layer.hear(self._channel, lambda message: own.run(self._take, message))
                self._calling = asyncio.get_running_loop().create_task(self._call_itself(), context=Context())
            else:
                self._listening = asyncio.get_running_loop().create_task(self._listen(), context=Context())

    async def _listen(self) -> None:
        """Take the messages of a layer that keeps them until they are asked for."""
        layer = get_channel_layer()
        while True:
            self._take(await layer.receive(self._channel))

    def _take(self, message: Mapping[str, Any]) -> None:
        """Hand on a message at once if it comes alone; else behind those before it."""
        self._arrived.append(message)
        if self._handing_on is None or self._handing_on.done():
            self._handing_on = begin(self._hand_on_all())

    async def _hand_on_all(self) -> None:
        handed_on = 0
        while self._arrived:
            message = self._arrived.popleft()
            try:
                handed_on += await self._hand_on(message)
            except Exception:  # one message must not end the hearing of all others
                logger.exception("a message of the channel layer was dropped", type=message.get("type"))
            if handed_on >= AT_ONCE:
                handed_on = 0
                await asyncio.sleep(0)

    async def _call_itself(self) -> None:
        """Send this process a message at intervals. If nothing comes, make new connections to Redis.

        A connection that is dead without being closed is noticed by nothing else: who only listens waits forever.
        """
        layer, hears = get_channel_layer(), True
        while True:
            self._heard.clear()
            try:
                async with asyncio.timeout(JOIN_WITHIN):
                    await layer.send(self._channel, {"type": CALL})
                    await self._heard.wait()
            except (RedisError, OSError, TimeoutError) as error:
                if hears:
                    logger.warning("redis is not heard; notices come by the rounds", error=repr(error))
                hears = False
                layer.reconnect()
            else:
                if not hears:
                    logger.warning("redis is heard again")
                hears = True
            metrics.HUB_HEARS.set(hears)
            await asyncio.sleep(settings.SOCKET_ROUND_SECONDS / CALLS_PER_ROUND)

    async def _hand_on(self, message: Mapping[str, Any]) -> int:
        """Hand a message on to its group; returns the number of its sockets, and one."""
        self._heard.set()
        if message["type"] == CALL:
            return 1
        if (group := message.get("group")) is None:
            self._unaddressed()
            return 1
        if message["sent_at"] != self._observed:  # else it came with the one before
            self._observed = message["sent_at"]
            metrics.HINT_SECONDS.observe(max(0.0, time.time() - self._observed))
        act, sockets = self._opened(message), tuple(self._members.get(group, ()))
        span = tracing.write(message, sockets=len(sockets))
        for number, socket in enumerate(sockets, 1):
            try:
                act(socket)
            except Exception:  # one socket must not keep the others from their message
                logger.exception("a socket did not take a message", type=message["type"])
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        if span is not None:
            span.end()
        return len(sockets) % AT_ONCE + 1

    async def _leave_empty_groups(self) -> None:
        while empty := self._joined - self._members.keys():
            await asyncio.sleep(LINGER)
            for group in empty:
                async with self._changing:
                    if group in self._members:
                        continue
                    self._joined.discard(group)
                    try:
                        async with asyncio.timeout(JOIN_WITHIN):
                            await get_channel_layer().group_discard(group, self._channel)
                    except (RedisError, TimeoutError) as error:  # the groups of a lost Redis are lost with it
                        logger.info("a group was not left", error=repr(error))
