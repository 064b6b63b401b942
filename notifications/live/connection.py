"""Connection: one websocket of a signed-in user, from accept to close."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import structlog
from django.conf import settings
from django.db import DatabaseError
from redis.exceptions import RedisError

from feeds.sessions.signed_in import Visitor
from notifications import metrics
from notifications.live.deadlines import deadlines
from notifications.live.frames import cookies, language_of
from notifications.live.outgoing import Outgoing, encode
from notifications.push.eager import begin

logger = structlog.get_logger("notifications.connection")

#: Seconds after which a client that has not sent hello is closed.
HELLO_WITHIN = 5.0
#: Seconds after which a client that does not take a frame is closed.
SEND_WITHIN = 5.0
#: Seconds after which a client that does not take the close frame is dropped without it.
CLOSE_WITHIN = 1.0
#: Frames that wait for a client that takes none, at most.
MOST_WAITING = 500

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Coroutine[Any, Any, None]]
#: Writes the bytes of a frame; False, and not written, if the connection takes nothing now.
Write = Callable[[bytes], bool]

#: The ASGI extension of a server that lets its sockets write. Through `send` a frame takes three times as long.
WRITE = "airy.websocket.write"


class Link(NamedTuple):
    """The server's end of a websocket: ASGI's two functions, and that of the extension WRITE if the server has it."""

    receive: Receive
    send: Send
    write: Write | None


class Connection:
    """The life of a socket below the protocol: its user, what is sent, and how it ends.

    It is written for many: an idle one has no task but the server's, no timer, no lock and no queue.
    """

    __slots__ = (
        "_outgoing",
        "_receive",
        "_send",
        "_sending",
        "_task",
        "_write",
        "checked",
        "ended",
        "greeted",
        "language",
        "session_key",
        "user_id",
    )

    user_id: int
    session_key: str
    checked: float
    language: str

    def __init__(self, link: Link) -> None:
        self._receive, self._send, self._write = link
        self.greeted = self.ended = False
        self._task: asyncio.Task[Any] | None = None
        #: Frames behind the one that the client has not taken yet; None if it takes them.
        self._outgoing: deque[Mapping[str, Any]] | None = None
        self._sending: asyncio.Task[None] | None = None

    @classmethod
    def application(cls, scope: Any, receive: Receive, send: Send) -> Awaitable[None]:
        """The ASGI application of one socket."""
        link = Link(receive, send, scope.get("extensions", {}).get(WRITE))
        return cls(link).serve(cookies(scope).get(settings.SESSION_COOKIE_NAME, ""), language_of(scope))

    async def serve(self, session_key: str, language: str) -> None:
        """Accept first, also to refuse: a browser shows a page the close code of an accepted socket only."""
        self._task = task = asyncio.current_task()
        assert task is not None
        self.session_key, self.language = session_key, language
        try:
            await self._receive()  # websocket.connect
            await self._send({"type": "websocket.accept"})
            if await self._enter():
                await self._listen()
        except (DatabaseError, RedisError, TimeoutError) as error:
            logger.warning("a socket could not be served", error=repr(error))
            self.end(1013)
        except asyncio.CancelledError:
            if not self.ended:
                raise
            task.uncancel()  # `end` cancelled the wait for the client
        finally:
            self.leave()
        await self._last_frames()

    async def _enter(self) -> bool:
        """Find out who it is; False, and ended, if nobody is signed in."""
        visitor = await self.who_is_it()
        if visitor.user_id is None:
            self.end(4403 if visitor.banned else 4401)
            return False
        self.user_id, self.checked = visitor.user_id, time.monotonic()
        structlog.contextvars.bind_contextvars(user_id=visitor.user_id)
        await self.entered()
        return True

    async def _listen(self) -> None:
        while not self.ended:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self.ended = True
            else:
                await self.receive(message.get("text"))

    def end(self, code: int) -> None:
        """Close with a code; later calls do nothing."""
        if self.ended:
            return
        metrics.SOCKETS_CLOSED.labels(code=str(code)).inc()
        self._put({"type": "websocket.close", "code": code})
        self._drop()

    def _drop(self) -> None:
        """Wait for the client no longer."""
        if not self.ended:
            self.ended = True
            if self._task is not None and self._task is not asyncio.current_task():
                self._task.cancel()

    def drain(self, retry_ms: int) -> None:
        """Ask the client to come back after `retry_ms` milliseconds: this server stops."""
        self.send_frame("drain", retry_ms=retry_ms)

    def send_frame(self, op: str, **fields: Any) -> None:
        """Make a frame, and send it."""
        self.send(Outgoing(encode({"op": op, **fields})))

    def send(self, frame: Outgoing) -> None:
        """Send a frame; a client that does not take it within SEND_WITHIN is closed."""
        if self.ended or (self._outgoing is None and self._write is not None and self._write(frame.wire)):
            return
        self._put({"type": "websocket.send", "text": frame.text})

    # What the protocol does

    async def who_is_it(self) -> Visitor:
        """Whose session it is."""
        raise NotImplementedError

    async def entered(self) -> None:
        """It is known whose socket it is; it may be ended here."""
        raise NotImplementedError

    async def receive(self, text: str | None) -> None:
        """The client sent a frame; None if it is binary."""
        raise NotImplementedError

    def leave(self) -> None:
        """The socket is closed; `entered` may not have been called."""
        raise NotImplementedError

    # Sending

    def _put(self, message: Mapping[str, Any]) -> None:
        if self._outgoing is None:
            try:
                self._sending = begin(self._send(message))
            except (OSError, RuntimeError):  # uvicorn's, if the client is gone, or did not answer its ping
                self._drop()
                return
            if self._sending is not None:
                self._outgoing = deque()
                deadlines().set(self._too_slow, seconds=SEND_WITHIN)
                self._sending.add_done_callback(self._went_out)
        elif len(self._outgoing) < MOST_WAITING or message["type"] == "websocket.close":
            self._outgoing.append(message)
        else:
            self._too_slow()

    def _went_out(self, sending: asyncio.Task[None]) -> None:
        deadlines().call_off(self._too_slow)
        outgoing, self._outgoing, self._sending = self._outgoing or (), None, None
        if not sending.cancelled() and sending.exception() is None:
            for message in outgoing:
                self._put(message)

    def _too_slow(self) -> None:
        if self._outgoing is not None:
            self._outgoing.clear()
        self.end(4408)

    async def _last_frames(self) -> None:
        """Wait until the client took what was sent, for CLOSE_WITHIN at most."""
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(CLOSE_WITHIN):
                while self._sending is not None:
                    await self._sending
