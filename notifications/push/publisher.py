"""Publisher: a connection to Redis on which texts are published without waiting for the answer to each.

redis-py waits for an answer before it sends the next command. That takes a sender ten times as long as the command
itself. Here the answers are only counted: as many as are missing when the connection is lost, so many texts are lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from redis.exceptions import ConnectionError, TimeoutError

logger = structlog.get_logger("notifications.push")

#: Seconds without any answer after which a connection that owes some is given up.
ANSWER_WITHIN = 5.0
COMMAND = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"


class Publisher(asyncio.Protocol):
    """One connection, for one event loop. lost: called with the number of texts that may not have been published."""

    def __init__(self, made: Any, *, lost: Callable[[int], None]) -> None:
        self._made, self._lost = made, lost  # redis-py closes a connection that nobody holds
        self._transport: asyncio.Transport | None = made._writer.transport
        made._writer.transport.set_protocol(self)
        self._writable = asyncio.Event()
        self._writable.set()
        #: Texts that Redis has not said to have published.
        self.unanswered = 0
        self._answered_at = 0.0

    @classmethod
    async def connect(cls, pool: Any, *, lost: Callable[[int], None]) -> Publisher:
        """A connection of the kind that a pool of redis-py makes. Raises RedisError, OSError."""
        made = pool.make_connection()
        await made.connect()
        return cls(made, lost=lost)

    @property
    def is_lost(self) -> bool:
        """Whether it takes no more texts."""
        return self._transport is None or self._transport.is_closing()

    async def publish(self, texts: Sequence[tuple[bytes, bytes]]) -> None:
        """Publish each text on its channel (channel, text). Waits only while Redis does not take what was sent.

        Raises redis' ConnectionError if the connection is lost, and TimeoutError if Redis does not answer any more.
        """
        if self.unanswered and time.monotonic() - self._answered_at > ANSWER_WITHIN:
            self.abort()
            raise TimeoutError("Redis answers no command any more")
        await self._writable.wait()
        if self._transport is None or self.is_lost:
            raise ConnectionError("the connection to Redis is lost")
        if not self.unanswered:
            self._answered_at = time.monotonic()
        self.unanswered += len(texts)
        self._transport.write(b"".join([COMMAND % (len(channel), channel, len(text), text) for channel, text in texts]))

    def abort(self) -> None:
        """Close the connection without a word to Redis, which may not answer."""
        if self._transport is not None:
            self._transport.abort()

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        """Count the answers: each is a line, `:` and a number of those who heard it, or `-` and an error."""
        self._answered_at = time.monotonic()
        self.unanswered = max(0, self.unanswered - data.count(b"\n"))
        if b"-" in data:
            refused = [line.decode(errors="replace") for line in data.split(b"\r\n") if line.startswith(b"-")]
            logger.warning("hints refused by Redis; sockets will ask the database", errors=refused[:1])
            self._lost(len(refused))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._writable.set()
        if self.unanswered:
            self._lost(self.unanswered)
            self.unanswered = 0

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()
