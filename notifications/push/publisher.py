"""Publisher: publishes texts without waiting for the answer to each.

The answers are only counted: as many as are missing when the connection is lost, so many texts may be lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from redis.exceptions import ConnectionError, TimeoutError

from notifications.push.connection import RedisConnection

logger = structlog.get_logger("notifications.push")

#: Seconds without any answer after which a connection that owes some is given up.
ANSWER_WITHIN = 5.0


class Publisher(RedisConnection):
    """One connection, for one event loop. lost: called with the number of texts that may not have been published."""

    def __init__(self, made: Any, *, lost: Callable[[int], None]) -> None:
        super().__init__(made)
        self._lost = lost
        self._writable = asyncio.Event()
        self._writable.set()
        #: Texts that Redis has not said to have published.
        self.unanswered = 0
        self._answered_at = 0.0

    async def publish(self, texts: Sequence[tuple[bytes, bytes]]) -> None:
        """Publish each text on its channel (channel, text). Waits only while Redis does not take what was sent.

        Raises redis' ConnectionError if the connection is lost, and its TimeoutError if Redis answers no more.
        """
        if self.unanswered and time.monotonic() - self._answered_at > ANSWER_WITHIN:
            self.abort()
            raise TimeoutError("Redis answers no command any more")
        await self._writable.wait()
        if self.is_lost:
            raise ConnectionError("the connection to Redis is lost")
        if not self.unanswered:
            self._answered_at = time.monotonic()
        self.unanswered += len(texts)
        self.write(*((b"PUBLISH", channel, text) for channel, text in texts))

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        """Count the answers: each is a line, `:` and the number of those who heard it, or `-` and an error."""
        self._answered_at = time.monotonic()
        self.unanswered = max(0, self.unanswered - data.count(b"\n"))
        if b"-" in data:
            refused = [line.decode(errors="replace") for line in data.split(b"\r\n") if line.startswith(b"-")]
            logger.warning("hints refused by Redis; sockets will ask the database", errors=refused[:1])
            self._lost(len(refused))

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        if self.unanswered:
            self._lost(self.unanswered)
            self.unanswered = 0

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()
