"""Subscriber: hears channels of Redis, each text as it comes. A lost connection is made anew, with all its channels."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import hiredis
import structlog
from redis.exceptions import RedisError

from notifications.push.connection import RedisConnection

logger = structlog.get_logger("notifications.push")

#: Seconds between two tries to come back: the first one, and the longest.
RETRY, LONGEST_RETRY = 0.1, 1.0
INCOMPLETE = object()

#: Called with a channel and a text.
Heard = Callable[[bytes, bytes], None]


class Subscriber:
    """The channels that one event loop hears."""

    def __init__(self, pool: Any, *, heard: Heard) -> None:
        self._pool, self._heard = pool, heard
        self._channels: set[bytes] = set()
        self._connection: Hearing | None = None
        self._connecting = asyncio.Lock()
        self._coming_back: asyncio.Task[None] | None = None

    async def subscribe(self, channel: bytes) -> None:
        """Hear a channel from now on. Raises RedisError, OSError, TimeoutError."""
        connection = await self._connected()
        self._channels.add(channel)
        connection.write((b"SUBSCRIBE", channel))

    def unsubscribe(self, channel: bytes) -> None:
        """Hear a channel no longer."""
        self._channels.discard(channel)
        if self._connection is not None and not self._connection.is_lost:
            self._connection.write((b"UNSUBSCRIBE", channel))

    def cut(self) -> None:
        """Close the connection without a word to Redis, and come back."""
        if self._connection is not None:
            self._connection.abort()

    def close(self) -> None:
        """Hear nothing any more."""
        self._channels.clear()
        self.cut()
        if self._coming_back is not None:
            self._coming_back.cancel()

    async def _connected(self) -> Hearing:
        async with self._connecting:
            if self._connection is None or self._connection.is_lost:
                self._connection = await Hearing.open(self._pool, heard=self._heard, lost=self._lost)
                if self._channels:
                    self._connection.write((b"SUBSCRIBE", *self._channels))
            return self._connection

    def _lost(self) -> None:
        if self._channels and (self._coming_back is None or self._coming_back.done()):
            self._coming_back = asyncio.get_running_loop().create_task(self._come_back())

    async def _come_back(self) -> None:
        wait = RETRY
        while True:
            try:
                await self._connected()
            except (RedisError, OSError, TimeoutError):
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))
                wait = min(2 * wait, LONGEST_RETRY)
            else:
                return


class Hearing(RedisConnection):
    """One connection of a subscriber."""

    def __init__(self, made: Any, *, heard: Heard, lost: Callable[[], None]) -> None:
        super().__init__(made)
        self._heard, self._lost = heard, lost
        self._reader = hiredis.Reader(notEnoughData=INCOMPLETE)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (response := self._reader.gets()) is not INCOMPLETE:
            if isinstance(response, Exception):
                logger.warning("Redis refuses to let a channel be heard", error=str(response))
            elif response[0] == b"message":
                self._heard(response[1], response[2])

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()
