"""The layer on Redis pub/sub: what it sends in one go arrives, in order, and what has arrived is taken at once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from redis.asyncio import Redis

from notifications.push.pubsub_layer import PubSubLayer
from tests.support.servers.certificates import make_certificates
from tests.support.servers.redis import running_redis

pytestmark = [pytest.mark.redis, pytest.mark.anyio]


@pytest.fixture
def layers() -> tuple[PubSubLayer, PubSubLayer]:
    """Those of two processes."""
    where = {"hosts": [settings.REDIS_URL or "redis://127.0.0.1:6379"], "prefix": f"airy-test-{uuid.uuid4().hex}"}
    return PubSubLayer(**where), PubSubLayer(**where)


async def test_a_batch_arrives_whole_and_in_order_also_while_groups_are_joined(
    layers: tuple[PubSubLayer, PubSubLayer],
) -> None:
    here, there = layers
    channel = await here.new_channel()
    for number in range(20):
        await here.group_add(f"user.{number}", channel)
    await has_joined(here, there, "user.19", channel)
    sending = asyncio.create_task(
        there.group_send_many([(f"user.{number % 20}", {"type": "note", "number": number}) for number in range(2_000)])
    )
    for number in range(20, 60):
        await here.group_add(f"user.{number}", channel)
    heard = [(await asyncio.wait_for(here.receive(channel), 10))["number"] for _ in range(2_000)]
    await sending
    assert heard == list(range(2_000))
    await has_joined(here, there, "user.59", channel)
    await close(*layers)


async def test_messages_are_handed_on_as_they_come_and_what_is_none_is_dropped(
    layers: tuple[PubSubLayer, PubSubLayer],
) -> None:
    here, there = layers
    channel = await here.new_channel()
    heard: list[int] = []
    here.hear(channel, lambda message: heard.append(message["number"]))
    await here.group_add("everybody", channel)
    await has_joined(here, there, "everybody", channel)
    name = here._get_layer()._get_group_channel_name("everybody")
    async with Redis.from_url(where(there)) as stranger:
        for text in (b"", b"\xc1", b"hello", b"\x07", b"\x80"):
            await stranger.publish(name, text)
    await there.group_send_many([("everybody", {"type": "note", "number": number}) for number in range(500)])
    await until(lambda: len(heard) == 500)
    assert heard == list(range(500))
    await close(*layers)


async def test_it_speaks_tls_with_a_password(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "certificates")
    with running_redis(tmp_path, certificates=made, password="of-this-test") as server:
        here, there = PubSubLayer(hosts=[server.url]), PubSubLayer(hosts=[server.url])
        channel = await here.new_channel()
        heard: list[int] = []
        here.hear(channel, lambda message: heard.append(message["number"]))
        await here.group_add("everybody", channel)
        await has_joined(here, there, "everybody", channel)
        await there.group_send_many([("everybody", {"type": "note", "number": number}) for number in range(500)])
        await until(lambda: len(heard) == 500)
        await close(here, there)


async def test_a_connection_that_is_lost_is_made_anew_with_all_its_groups(
    layers: tuple[PubSubLayer, PubSubLayer],
) -> None:
    here, there = layers
    channel = await here.new_channel()
    heard: set[int] = set()
    here.hear(channel, lambda message: heard.add(message["number"]))
    for number in range(20):
        await here.group_add(f"user.{number}", channel)
    await here.group_discard("user.19", channel)
    here.reconnect()
    for number in range(18):
        await has_joined(here, there, f"user.{number}", channel)
    await here.group_add("user.20", channel)
    await has_joined(here, there, "user.20", channel)
    await there.group_send_many([(f"user.{number}", {"type": "note", "number": number}) for number in range(21)])
    await until(lambda: 20 in heard)
    assert heard == {*range(19), 20}
    await close(*layers)


async def until(condition: Callable[[], bool]) -> None:
    """Raises TimeoutError after 10 s."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def has_joined(here: PubSubLayer, there: PubSubLayer, group: str, channel: str) -> None:
    """Wait until Redis has the subscription: it answers them in order."""
    async with Redis.from_url(where(there)) as client, asyncio.timeout(10):
        name = here._get_layer()._get_group_channel_name(group)
        while (await client.pubsub_numsub(name))[0][1] == 0:
            await asyncio.sleep(0.01)


def where(layer: PubSubLayer) -> str:
    return str(layer._get_layer()._shards[0].host["address"])


async def close(*layers: PubSubLayer) -> None:
    for layer in layers:
        await layer.flush()
