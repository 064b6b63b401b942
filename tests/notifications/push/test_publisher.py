"""The publisher: it waits for no answer, and knows how many texts may be lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from notifications.push import publisher
from notifications.push.publisher import Publisher
from tests.support.servers.redis import RedisServer, running_redis

pytestmark = [pytest.mark.redis, pytest.mark.anyio]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as own:
        yield own


async def connected(redis: RedisServer, lost: list[int]) -> Publisher:
    return await Publisher.open(ConnectionPool.from_url(redis.url), lost=lost.append)


async def test_texts_arrive_whole_and_in_order_and_none_counts_as_lost(redis: RedisServer) -> None:
    lost: list[int] = []
    sender = await connected(redis, lost)
    async with Redis.from_url(redis.url) as client, client.pubsub() as subscription:
        await subscription.subscribe("here")
        await subscription.get_message(timeout=5)
        texts = [f"{number} \r\n-é".encode() * (number % 50 + 1) for number in range(5_000)]
        for start in range(0, len(texts), 100):
            await sender.publish([(b"here", text) for text in texts[start : start + 100]])
        heard = [(await subscription.get_message(timeout=5) or {})["data"] for _ in texts]
    assert heard == texts
    await until(lambda: sender.unanswered == 0)
    sender.abort()
    assert lost == []


async def test_what_a_lost_connection_took_with_it_is_counted(redis: RedisServer) -> None:
    lost: list[int] = []
    sender = await connected(redis, lost)
    await sender.publish([(b"here", b"heard by nobody, and answered")])
    await until(lambda: sender.unanswered == 0)
    redis.freeze()
    await sender.publish([(b"here", b"never read")] * 3)
    redis.kill()
    await until(lambda: sender.is_lost and bool(lost))
    assert lost == [3]
    with pytest.raises(RedisConnectionError):
        await sender.publish([(b"here", b"too late")])
    assert lost == [3]


async def test_a_redis_that_hangs_holds_nobody_up_and_is_given_up(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "ANSWER_WITHIN", 0.2)
    lost: list[int] = []
    sender = await connected(redis, lost)
    redis.freeze()
    begun = time.monotonic()
    await sender.publish([(b"here", b"text")] * 10)
    assert time.monotonic() - begun < 0.2
    await until(lambda: time.monotonic() - begun > 0.3)
    with pytest.raises(RedisTimeoutError):
        await sender.publish([(b"here", b"text")])
    await until(lambda: lost == [10])
    assert sender.is_lost


async def test_what_redis_refuses_is_counted(redis: RedisServer) -> None:
    lost: list[int] = []
    async with Redis.from_url(redis.url) as client:
        await client.execute_command("ACL", "SETUSER", "default", "resetchannels", "&allowed")
    sender = await connected(redis, lost)
    await sender.publish([(b"allowed", b"text"), (b"forbidden", b"text"), (b"allowed", b"text")])
    await until(lambda: sender.unanswered == 0)
    assert lost == [1]
    sender.abort()


async def test_who_is_cancelled_while_connecting_ends_at_every_moment(redis: RedisServer) -> None:
    lost: list[int] = []
    ended = 0
    for turns in range(60):
        opening = asyncio.create_task(connected(redis, lost))
        for _ in range(turns):
            await asyncio.sleep(0.00005)
        if opening.done():
            opening.result().abort()
            continue
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        ended += 1
    assert ended > 0


async def until(condition: Callable[[], bool]) -> None:
    """Raises TimeoutError after 10 s."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)
