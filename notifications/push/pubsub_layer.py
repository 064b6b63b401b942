"""Pub/sub layer: Channels' layer on Redis pub/sub. It sends a batch in one go, and takes all that has arrived at once.

Channels' interface sends one message at a time, and waits for Redis each time; its reader sets up a time-out, a retry
and a coroutine for each message. What is used here and is not public, of channels_redis `_get_layer`, `_shards`,
`_get_shard`, `_get_group_channel_name`, `channels`, `_lock`, `_ensure_redis`, `_redis`, `_pubsub` and
`_receive_message`, and of redis-py `_parser`, `_reader`, `_writer` and the two sets of the pool, is held by
tests/notifications/push/test_pubsub_layer.py and tests/notifications/live/test_faults.py.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from channels_redis.pubsub import RedisPubSubChannelLayer, RedisSingleShardConnection
from redis._parsers.hiredis import NOT_ENOUGH_DATA

from notifications import metrics
from notifications.push.eager import begin
from notifications.push.publisher import Publisher

logger = structlog.get_logger("notifications.push")


class PubSubLayer(RedisPubSubChannelLayer):  # type: ignore[misc] # the library has no types
    """The layer of CHANNEL_LAYERS wherever REDIS_URL is set."""

    async def group_send_many(self, messages: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Send each message to its group, in order within a group. Raises RedisError, OSError.

        It does not wait until Redis has them: `HINTS_LOST` counts those that a lost connection took with it.
        """
        layer = self._get_layer()
        of_shard: dict[Shard, list[tuple[bytes, bytes]]] = defaultdict(list)
        for group, message in messages:
            channel = layer._get_group_channel_name(group)
            of_shard[layer._get_shard(channel)].append((channel.encode(), self.serialize(message)))
        for shard, texts in of_shard.items():
            await shard.publish_all(texts)

    async def receive_all(self, channel: str) -> list[Any]:
        """The messages that have arrived on a channel, in order, as soon as there is one. What is none is dropped."""
        queue = self._get_layer().channels[channel]
        arrived = [await queue.get(), *(queue.get_nowait() for _ in range(queue.qsize()))]
        messages = []
        for text in arrived:
            try:
                message = self.deserialize(text)
            except ValueError:
                message = None
            if isinstance(message, dict) and "type" in message:
                messages.append(message)
            else:  # another program publishes on this channel
                logger.warning("a text on a channel is no message", bytes=len(text))
        return messages

    def reconnect(self) -> None:
        """Close the connections as the network would: the next use makes new ones, and the groups are joined again."""
        for shard in self._get_layer()._shards:
            shard.cut()

    def _get_layer(self) -> Any:
        layer = super()._get_layer()
        for number, shard in enumerate(layer._shards):
            if not isinstance(shard, Shard):
                layer._shards[number] = Shard(shard.host, layer)
        return layer


class Shard(RedisSingleShardConnection):  # type: ignore[misc]
    """The connections to one Redis."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._publisher: Publisher | None = None
        self._connecting = asyncio.Lock()

    async def publish_all(self, texts: Sequence[tuple[bytes, bytes]]) -> None:
        """Publish each text on its channel (channel, text). Raises RedisError, OSError."""
        if self._publisher is None or self._publisher.is_lost:
            async with self._connecting:
                if self._publisher is None or self._publisher.is_lost:
                    self._ensure_redis()
                    self._publisher = await Publisher.connect(self._redis.connection_pool, lost=metrics.HINTS_LOST.inc)
        await self._publisher.publish(texts)

    async def flush(self) -> None:
        """Close the connections, as of a layer that is new."""
        if self._publisher is not None:
            self._publisher.abort()
        await super().flush()

    def cut(self) -> None:
        """Close them without a word to Redis, which may not answer."""
        if self._publisher is not None:
            self._publisher.abort()
        if self._redis is not None:
            pool = self._redis.connection_pool
            for connection in (*pool._available_connections, *pool._in_use_connections):
                if connection._writer is not None:
                    connection._writer.transport.abort()

    def _receive_message(self, message: Any) -> None:
        """Take a message that was read, and all others that came with it."""
        super()._receive_message(message)
        connection = self._pubsub.connection
        reader = connection._parser._reader if connection is not None else None
        while reader is not None and (response := reader.gets()) is not NOT_ENOUGH_DATA:
            if response[0] == b"message":
                super()._receive_message({"channel": response[1], "data": response[2]})
            else:
                begin(self._pubsub.handle_message(response, ignore_subscribe_messages=True))
