"""Tab: a websocket client of the real ASGI application, whose event loop runs in a thread."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from typing import Any

from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.test import Client

from airy.asgi import application
from feeds.models import User

WITHIN = 10.0


class Tab:
    """One socket: `say` a frame, `hear` the next one."""

    def __init__(self, server: Server, headers: dict[str, str]) -> None:
        self._server = server
        scope = {
            "type": "websocket",
            "path": "/ws/notifications/",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "subprotocols": [],
        }
        self.communicator = ApplicationCommunicator(application, scope)

    def say(self, op: str, **fields: Any) -> None:
        """Send a frame."""
        self.send(text=json.dumps({"op": op, **fields}))

    def send(self, **raw: Any) -> None:
        """Send anything."""
        self._server.run(self.communicator.send_input({"type": "websocket.receive", **raw}))

    def next(self) -> dict[str, Any]:
        """The next thing the server does. Raises what the application raised."""
        return self._server.run(self._next())

    def listen(self, within: float) -> bool:
        """Whether something comes in so many seconds; it is taken."""
        try:
            return bool(self._server.run(self._next(within)))
        except TimeoutError:
            return False

    async def _next(self, within: float = WITHIN) -> dict[str, Any]:
        said = asyncio.ensure_future(self.communicator.output_queue.get())
        await asyncio.wait({said, self.communicator.future}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        if said.done():
            return said.result()
        said.cancel()
        if self.communicator.future.done():
            self.communicator.future.result()
        raise TimeoutError(f"the server said nothing for {within} s")

    def hear(self) -> dict[str, Any]:
        """The next frame."""
        message = self.next()
        assert message["type"] == "websocket.send", message
        return json.loads(message["text"])

    def hear_until(self, op: str) -> list[dict[str, Any]]:
        """The next frames up to one with this op."""
        frames = [self.hear()]
        while frames[-1]["op"] != op:
            frames.append(self.hear())
        return frames

    def hear_close(self) -> int:
        """The code with which the server closes next."""
        message = self.next()
        assert message["type"] == "websocket.close", message
        return message["code"]

    def hello(self, last_seq: int | None = None, **fields: Any) -> list[dict[str, Any]]:
        """Begin; returns what was missed, and ready."""
        self.say("hello", v=1, last_seq=last_seq, **fields)
        return self.hear_until("ready")

    def assert_nothing_heard(self) -> None:
        """All that was said so far is answered, and nothing else came."""
        self.say("ping")
        assert self.hear() == {"op": "pong"}

    def leave(self) -> None:
        """Close the tab."""
        if not self.communicator.future.done():
            self._server.run(self.communicator.send_input({"type": "websocket.disconnect", "code": 1001}))
            self._server.run(asyncio.wait_for(self.communicator.future, WITHIN))


class Server:
    """An event loop in a thread, and the tabs that are connected to it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="server")
        self._thread.start()
        self._tabs: list[Tab] = []

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something on the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WITHIN + 5)

    def open(self, client: Client | None = None, *, origin: str | None = "http://testserver", **headers: str) -> Tab:
        """Try to connect, as a page of `origin` or as a program (None); `next` tells how it went."""
        if client is not None:
            headers["cookie"] = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"

        async def connect() -> Tab:
            tab = Tab(self, {"host": "testserver"} | ({"origin": origin} if origin else {}) | headers)
            await tab.communicator.send_input({"type": "websocket.connect"})
            return tab

        tab = self.run(connect())
        self._tabs.append(tab)
        return tab

    def connect(self, user: User | None = None, *, client: Client | None = None, **headers: str) -> Tab:
        """Connect as a user, or with the session of a client, and be accepted."""
        if client is None and user is not None:
            client = Client()
            client.force_login(user)
        tab = self.open(client, **headers)
        assert tab.next()["type"] == "websocket.accept"
        return tab

    def stop(self) -> None:
        """Close everything."""
        for tab in self._tabs:
            tab.leave()
        self.run(self._wind_up())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _wind_up(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.loop.shutdown_default_executor()
