"""The peer of `benchmarks.sockets`: the websockets library and one Redis channel, without accounts and a database.

python -m benchmarks.bare_socket_server PORT REDIS_URL
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict

import redis.asyncio
from websockets.asyncio.server import ServerConnection, broadcast, serve

CHANNEL = "bare"
#: The sockets of each group: a user's, or those that watch a post.
groups: defaultdict[str, set[ServerConnection]] = defaultdict(set)


async def handle(socket: ServerConnection) -> None:
    """The path of the handshake names the user; frames are hello and watch."""
    mine = [f"user.{socket.request.path.rpartition('/')[2] if socket.request else ''}"]
    groups[mine[0]].add(socket)
    try:
        async for text in socket:
            frame = json.loads(text)
            if frame["op"] == "hello":
                await socket.send('{"op":"ready","seq":0,"unread":0,"read_upto":0,"hb":25}')
            elif frame["op"] == "watch":
                mine.append(f"post.{frame['post_id']}")
                groups[mine[-1]].add(socket)
    finally:
        for group in mine:
            groups[group].discard(socket)


async def hand_on(url: str) -> None:
    """Each message is a group, a space and the text for its sockets."""
    async with redis.asyncio.from_url(url) as client, client.pubsub() as subscription:
        await subscription.subscribe(CHANNEL)
        async for message in subscription.listen():
            if message["type"] == "message":
                group, _, text = message["data"].decode().partition(" ")
                broadcast(groups[group], text)


async def main(port: int, url: str) -> None:
    async with serve(handle, "127.0.0.1", port, compression=None):
        await hand_on(url)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
