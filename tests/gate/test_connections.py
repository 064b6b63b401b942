"""Connections: a crowd is begun with a few at a time, and each connection is looked at in its turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import uvicorn

from airy.gate import connections
from airy.gate.connections import Entrance, bound

pytestmark = [pytest.mark.anyio, pytest.mark.home]

#: More than are begun with, or looked at, in one turn.
CROWD = 3 * connections.AT_ONCE


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    """The port of a server within bounds."""
    config = uvicorn.Config(hello, port=0, lifespan="off", log_level="error")
    config.load()
    bound(config)
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # type: ignore[method-assign] # the test run has its own
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


@contextmanager
def _no_signals() -> Iterator[None]:
    yield


async def test_of_a_crowd_a_few_are_begun_with_in_a_turn_and_all_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    of_turn = Entrance._next_turn

    def counted(self: Entrance) -> None:
        turns.append(self._entered)
        of_turn(self)

    monkeypatch.setattr(Entrance, "_next_turn", counted)
    async with served() as port:
        links = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(CROWD)))
        for _, writer in links:
            writer.write(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*(reader.read() for reader, _ in links))
    assert all(answer.endswith(b"hello") for answer in answers)
    assert max(turns) == connections.ENTER_AT_ONCE


async def test_each_of_many_who_send_no_head_is_ended_in_time(settings: Any) -> None:
    settings.HEAD_SECONDS = 1
    async with served() as port:
        links = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(CROWD)))
        async with asyncio.timeout(10):
            for reader, _ in links:
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1)
