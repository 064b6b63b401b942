"""Pub/sub layer: Channels' layer on Redis pub/sub, with connections that wait for no answer (see `push.connection`).

What is used here and is not public, of channels_redis `_get_layer`, `_shards`, `_get_shard`, `_get_group_channel_name`,
`channels`, `groups` and `create_pool`, and of redis-py `_writer`, is held by tests/notifications/push.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog
from channels_redis.pubsub import RedisPubSubChannelLayer
from channels_redis.utils import create_pool

from notifications import metrics
from notifications.push.publisher import Publisher
from notifications.push.subscriber import Subscriber

logger = structlog.get_logger("notifications.push")


class PubSubLayer(RedisPubSubChannelLayer):  # type: ignore[misc] # the library has no types
    """The layer of CHANNEL_LAYERS wherever REDIS_URL is set."""

    async def group_send_many(self, messages: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Send each message to its group, in order within a group. Raises RedisError, OSError, TimeoutError.

        It does not wait until Redis has them: `HINTS_LOST` counts those that a lost connection took with it.
        """
        layer = self._get_layer()
        of_shard: dict[Shard, list[tuple[bytes, bytes]]] = defaultdict(list)
        for group, message in messages:
            channel = layer._get_group_channel_name(group)
            of_shard[layer._get_shard(channel)].append((channel.encode(), self.serialize(message)))
        for shard, texts in of_shard.items():
            await shard.publish_all(texts)

    def hear(self, channel: str, take: Callable[[Mapping[str, Any]], None]) -> None:
        """Hand on each message of a channel as it comes, instead of keeping it until `receive` asks for it.

        take: called on the event loop; it must not raise.
        """
        self._get_layer().channels[channel] = Direct(self.deserialize, take)

    def reconnect(self) -> None:
        """Close the connections as the network would: new ones are made, and the groups are joined again."""
        for shard in self._get_layer()._shards:
            shard.cut()

    def _get_layer(self) -> Any:
        layer = super()._get_layer()
        for number, shard in enumerate(layer._shards):
            if not isinstance(shard, Shard):
                layer._shards[number] = Shard(shard.host, layer)
        return layer


class Direct:
    """In the place of a channel's queue."""

    def __init__(self, decode: Callable[[bytes], Any], take: Callable[[Mapping[str, Any]], None]) -> None:
        self._decode, self._take = decode, take

    def put_nowait(self, text: bytes) -> None:
        """Take a message; what is none is dropped."""
        try:
            message = self._decode(text)
        except ValueError:
            message = None
        if isinstance(message, dict) and "type" in message:
            self._take(message)
        else:
            logger.warning("another program publishes on a channel of Airy's", bytes=len(text))


class Shard:
    """The connections to one Redis, in the place of channels_redis' own: its four methods, and what is sent at once."""

    def __init__(self, host: Mapping[str, Any], layer: Any) -> None:
        self.host, self._layer = host, layer
        self._pool: Any = create_pool(host)
        self._publisher: Publisher | None = None
        self._connecting = asyncio.Lock()
        self._subscriber = Subscriber(self._pool, heard=self._heard)

    async def publish(self, channel: str, text: bytes) -> None:
        """Publish a text. Raises RedisError, OSError, TimeoutError."""
        await self.publish_all([(channel.encode(), text)])

    async def publish_all(self, texts: Sequence[tuple[bytes, bytes]]) -> None:
        """Publish each text on its channel (channel, text). Raises RedisError, OSError, TimeoutError."""
        if self._publisher is None or self._publisher.is_lost:
            async with self._connecting:
                if self._publisher is None or self._publisher.is_lost:
                    self._publisher = await Publisher.open(self._pool, lost=metrics.HINTS_LOST.inc)
        await self._publisher.publish(texts)

    async def subscribe(self, channel: str) -> None:
        """Hear a channel. Raises RedisError, OSError, TimeoutError."""
        await self._subscriber.subscribe(channel.encode())

    async def unsubscribe(self, channel: str) -> None:
        """Hear a channel no longer."""
        self._subscriber.unsubscribe(channel.encode())

    async def flush(self) -> None:
        """Close the connections."""
        self._subscriber.close()
        if self._publisher is not None:
            self._publisher.abort()

    def cut(self) -> None:
        """Close the connections without a word to Redis, which may not answer; the next use makes new ones."""
        self._subscriber.cut()
        if self._publisher is not None:
            self._publisher.abort()

    def _heard(self, name: bytes, text: bytes) -> None:
        """Put a text into the queues of those channels that are in its group, or into that of its channel."""
        channels, channel = self._layer.channels, name.decode()
        for one in self._layer.groups.get(channel, (channel,)):
            if one in channels:
                channels[one].put_nowait(text)
