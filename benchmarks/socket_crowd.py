"""A crowd of websocket clients in a process of its own, as light as can be: it counts frames and notes their times."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from typing import Any

#: Seconds within which what is waited for must come.
WITHIN = 120.0


class Client(asyncio.Protocol):
    """One socket. Server frames are not masked; none here is longer than 64 KB."""

    def __init__(self, crowd: Clients, head: bytes, frames: Sequence[bytes]) -> None:
        self._crowd, self._head, self._frames = crowd, head, frames
        self._buffer = b""
        self._open = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                raise ConnectionError(head.decode())
            self._open, self._buffer = True, rest
            self.transport.write(b"".join(self._frames))
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                if len(buffer) - at < 4:
                    break
                (size,) = struct.unpack_from("!H", buffer, start)
                start += 2
            if len(buffer) < start + size:
                break
            if buffer[at] & 15 == 1:
                self._crowd.hear(buffer[start : start + size])
            elif buffer[at] & 15 == 9:
                self.transport.write(masked(buffer[start : start + size], opcode=10))
            at = start + size
        self._buffer = buffer[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.heard["closed"] += 1


def masked(payload: bytes, *, opcode: int = 1) -> bytes:
    """A frame of a client, with a mask that changes nothing."""
    assert len(payload) < 126
    return bytes((0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0)) + payload


class Clients:
    """The clients of one process, by group."""

    def __init__(self) -> None:
        self.heard: Counter[str] = Counter()
        #: Of each note that says when it was sent: when, and the seconds until it was here.
        self.times: list[tuple[float, float]] = []
        #: When each other note came.
        self.arrivals: list[float] = []
        self.groups: dict[str, list[Client]] = {}

    def hear(self, text: bytes) -> None:
        """Count a frame by its op; a note that says when it was sent is timed, any other one counts as missed, too."""
        op = text[7 : text.index(b'"', 7)].decode()
        self.heard[op] += 1
        if op == "note":
            now = time.monotonic()
            if (at := text.find(b'"at":')) > 0:
                sent = float(text[at + 5 : text.index(b"}", at)].split(b",")[0])
                self.times.append((sent, now - sent))
            else:
                self.heard["missed"] += 1
                self.arrivals.append(now)

    async def connect(self, group: str, port: int, people: Sequence[tuple[int, str]], frames: Sequence[Any]) -> float:
        """Open a socket for each person (id, session key), all at once; returns the seconds until all are ready."""
        before, begun = self.heard["ready"], time.monotonic()
        encoded = [masked(json.dumps(frame).encode()) for frame in frames]
        opened = await asyncio.gather(*(self._open(port, who, key, encoded) for who, key in people))
        self.groups.setdefault(group, []).extend(opened)
        await self.until("ready", before + len(people))
        return time.monotonic() - begun

    async def _open(self, port: int, who: int, session: str, frames: Sequence[bytes]) -> Client:
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET /ws/notifications/?/{who} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Origin: http://127.0.0.1:{port}\r\nCookie: sessionid={session}\r\n\r\n"
        )
        loop = asyncio.get_running_loop()
        _transport, client = await loop.create_connection(
            lambda: Client(self, head.encode(), frames), "127.0.0.1", port
        )
        return client

    async def until(self, op: str, count: int) -> None:
        """Wait until so many frames came. Raises TimeoutError."""
        async with asyncio.timeout(WITHIN):
            while self.heard[op] < count:
                await asyncio.sleep(0.002)

    def close(self, group: str) -> None:
        """Close the sockets of a group."""
        for client in self.groups.pop(group, ()):
            client.transport.abort()


class Crowd:
    """The clients, from the process that measures."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        self._process = Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()

    def connect(
        self, port: int, people: Sequence[tuple[int, str]], *frames: Any, group: str = "crowd", last_seq: Any = None
    ) -> float:
        """Open a socket for each person and send hello and these frames; the seconds until all are ready."""
        hello = {"op": "hello", "v": 1, "last_seq": last_seq}
        return float(self._call("connect", group, port, people, [hello, *frames]))

    def until(self, op: str, count: int) -> None:
        """Wait until so many frames of an op, or "missed" notes, came in all."""
        self._call("until", op, count)

    def heard(self, op: str) -> int:
        """How many frames of an op came in all."""
        return int(self._call("heard", op))

    def take_times(self) -> list[tuple[float, float]]:
        """Of the notes since the last call: when each was sent (monotonic clock), and the seconds until it came."""
        times: list[tuple[float, float]] = self._call("times")
        return times

    def take_arrivals(self) -> list[float]:
        """When each note came that does not say when it was sent, since the last call (monotonic clock)."""
        arrivals: list[float] = self._call("arrivals")
        return arrivals

    def close(self, group: str = "crowd") -> None:
        """Close the sockets of a group."""
        self._call("close", group)

    def end(self) -> None:
        """End its process."""
        self._process.terminate()
        self._process.join()

    def _call(self, *call: Any) -> Any:
        self._pipe.send(call)
        answer = self._pipe.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer


def _serve(pipe: Connection) -> None:
    asyncio.run(_answer(pipe))


async def _answer(pipe: Connection) -> None:
    clients, loop = Clients(), asyncio.get_running_loop()
    while True:
        name, *arguments = await loop.run_in_executor(None, pipe.recv)
        answer: Any = None
        try:
            match name:
                case "connect":
                    answer = await clients.connect(*arguments)
                case "until":
                    await clients.until(*arguments)
                case "heard":
                    answer = clients.heard[arguments[0]]
                case "times":
                    answer, clients.times = clients.times, []
                case "arrivals":
                    answer, clients.arrivals = clients.arrivals, []
                case "close":
                    clients.close(*arguments)
        except Exception as error:  # noqa: BLE001 - the other process raises it
            answer = error
        pipe.send(answer)
