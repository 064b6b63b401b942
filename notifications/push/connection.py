"""Connection: one connection to Redis, opened by redis-py with its address, password and TLS, and then used past it.

redis-py runs a command and waits for its answer: locks, retries, time-outs and several turns of the event loop for each
text. A text that is published or heard needs none of them.
"""

from __future__ import annotations

import asyncio
from typing import Any, Self

#: Seconds in which Redis must take a new connection.
CONNECT_WITHIN = 5.0


class RedisConnection(asyncio.Protocol):
    """Writes commands; what the answers mean is its subclasses'."""

    def __init__(self, made: Any, **options: Any) -> None:
        self._made = made  # redis-py closes a connection that nobody holds
        self._transport: asyncio.Transport = made._writer.transport
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, pool: Any, **options: Any) -> Self:
        """A connection of the kind that a pool of redis-py makes. Raises RedisError, OSError, TimeoutError."""
        made = pool.make_connection()
        task = asyncio.current_task()
        assert task is not None
        async with asyncio.timeout(CONNECT_WITHIN):
            await made.connect()
            if task.cancelling():  # redis-py loses it: `asyncio.wait_for` does before Python 3.12
                raise asyncio.CancelledError
        return cls(made, **options)

    @property
    def is_lost(self) -> bool:
        """Whether it takes no more commands."""
        return self._transport.is_closing()

    def write(self, *commands: tuple[bytes, ...]) -> None:
        """Write commands, each a name and its arguments, without waiting."""
        parts = []
        for command in commands:
            parts.append(b"*%d\r\n" % len(command))
            parts += [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in command]
        self._transport.write(b"".join(parts))

    def abort(self) -> None:
        """Close the connection without a word to Redis, which may not answer."""
        self._transport.abort()
