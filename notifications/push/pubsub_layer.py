"""Pub/sub layer: Channels' layer on Redis pub/sub. It sends a batch in one go, and takes all that has arrived at once.

Channels' interface sends one message at a time, and waits for Redis each time; its reader sets up a time-out, a retry
and a coroutine for each message. What is used here and is not public, of channels_redis `_get_layer`, `_shards`,
`_get_shard`, `_get_group_channel_name`, `_lock`, `_ensure_redis`, `_redis`, `_pubsub` and `_receive_message`, and of
redis-py `_parser`, `_reader`, `_writer` and the two sets of the pool, is held by
tests/notifications/push/test_pubsub_layer.py and tests/notifications/live/test_faults.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer, RedisSingleShardConnection
from redis._parsers.hiredis import NOT_ENOUGH_DATA

from notifications.push.eager import begin

#: Publishes each pair of a channel and a text. One command for all: reading an answer to each takes the sender longer
#: than packing it.
PUBLISH_EACH = "for at = 1, #ARGV, 2 do redis.call('PUBLISH', ARGV[at], ARGV[at + 1]) end"
#: Texts published by one command, at most: Redis does nothing else meanwhile.
TEXTS_PER_COMMAND = 500


class PubSubLayer(RedisPubSubChannelLayer):  # type: ignore[misc] # the library has no types
    """The layer of CHANNEL_LAYERS wherever REDIS_URL is set."""

    async def group_send_many(self, messages: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Send each message to its group, in order within a group. Raises RedisError."""
        layer = self._get_layer()
        of_shard: dict[Any, list[str | bytes]] = defaultdict(list)
        for group, message in messages:
            channel = layer._get_group_channel_name(group)
            of_shard[layer._get_shard(channel)] += channel, self.serialize(message)
        for shard, published in of_shard.items():
            async with shard._lock:
                shard._ensure_redis()
                if len(published) == 2:
                    await shard._redis.publish(*published)
                    continue
                for start in range(0, len(published), 2 * TEXTS_PER_COMMAND):
                    await shard._redis.eval(PUBLISH_EACH, 0, *published[start : start + 2 * TEXTS_PER_COMMAND])

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

    def cut(self) -> None:
        """Close them without a word to Redis, which may not answer."""
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
