"""Readers: people with a page open, whose socket comes back as the browser's script makes it. They keep all frames."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from feeds.models import User
from feeds.sessions.store import SessionStore
from notifications.models import Notification, Stream

T = TypeVar("T")
#: Seconds before the first attempt to come back, and at most; the browser's script takes 1 and 60.
SOON, LATEST = 0.25, 2.0
#: After these codes a page does not come back by itself.
FINAL = {4400, 4401, 4403}


def session_of(user: User) -> str:
    """The key of a new session of a user."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    assert session.session_key is not None
    return session.session_key


class Reader:
    """One page of a user."""

    def __init__(self, user: User, port: int) -> None:
        self.user, self.port, self._session = user, port, session_of(user)
        #: The last number that the page has.
        self.seq = 0
        self._epoch = ""
        #: The number of each note and gone, in the order in which they came, and when each came.
        self.numbers: list[int] = []
        self.came: dict[int, float] = {}
        #: What the page shows: the last note with each id, by id.
        self.shown: dict[int, dict[str, Any]] = {}
        #: The ops of the frames, without notes, and the codes of the sockets that were closed; 0: the handshake failed.
        self.ops: list[str] = []
        self.codes: list[int] = []
        #: Whether hello was answered on the socket that is open, and how often that was so.
        self.is_ready, self.readies = False, 0
        self.unread: int | None = None
        self.socket: ClientConnection | None = None

    async def live(self) -> None:
        """Connect, and again after each end, until this is cancelled."""
        tries = 0
        while True:
            before, pause = self.readies, None
            try:
                pause = await self._one_socket()
            except (OSError, InvalidHandshake, InvalidMessage, EOFError):
                self.codes.append(0)
            self.is_ready, self.socket = False, None
            if self.codes[-1] in FINAL:
                return
            tries = 0 if self.readies > before else tries + 1
            await asyncio.sleep(min(pause or LATEST, SOON * 2**tries, LATEST) * random.uniform(0.5, 1.5))

    async def _one_socket(self) -> float | None:
        """One socket from its opening to its end; the seconds after which the server asked to come back."""
        pause = None
        opening = connect(
            f"ws://127.0.0.1:{self.port}/ws/notifications/",
            origin=f"http://127.0.0.1:{self.port}",  # type: ignore[arg-type]
            additional_headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={self._session}"},
            compression=None,
            ping_interval=None,
            open_timeout=30,
            close_timeout=1,
            proxy=None,
        )
        async with opening as self.socket:
            try:
                await self.say("hello", v=1, last_seq=self.seq, epoch=self._epoch)
                while True:
                    frame = json.loads(await self.socket.recv())
                    pause = frame["retry_ms"] / 1000 if frame["op"] == "drain" else pause
                    self._take(frame)
            except ConnectionClosed as closed:
                self.codes.append(closed.rcvd.code if closed.rcvd else 1006)
        return pause

    async def say(self, op: str, **fields: Any) -> None:
        """Send a frame."""
        assert self.socket is not None
        await self.socket.send(json.dumps({"op": op, **fields}))

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["op"] in ("note", "gone"):
            self.numbers.append(frame["seq"])
            self.came[frame["seq"]] = time.monotonic()
            self.seq = max(self.seq, frame["seq"])
            self.shown[frame["id"]] = frame
        else:
            self.ops.append(frame["op"])
        if frame["op"] == "ready":
            self._epoch, self.seq = frame["epoch"], max(self.seq, frame["seq"])
            self.is_ready, self.readies = True, self.readies + 1
        self.unread = frame.get("unread", self.unread)


class Readers:
    """Readers on an event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="readers")
        self._tasks: dict[Reader, Any] = {}

    def __iter__(self) -> Iterator[Reader]:
        return iter(self._tasks)

    def run(self, work: Coroutine[Any, Any, T], *, within: float = 60.0) -> T:
        """Run something on the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(within)

    def open(self, users: Iterable[User], port: int) -> list[Reader]:
        """A page of each of these users, from now on."""
        opened = [Reader(user, port) for user in users]
        self.come(opened)
        return opened

    def come(self, readers: Iterable[Reader]) -> None:
        """Open these pages again, all at once."""
        for reader in readers:
            self._tasks[reader] = asyncio.run_coroutine_threadsafe(reader.live(), self._loop)

    def go(self, readers: Iterable[Reader]) -> None:
        """Close these pages, all at once; they know what they have."""
        for reader in readers:
            self._tasks[reader].cancel()
        self.run(self._settle())

    async def _settle(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        ending = {task for task in others if task.cancelling()}
        await asyncio.gather(*ending, return_exceptions=True)

    def all_ready(self) -> bool:
        """Whether the hello of each open page is answered."""
        return all(reader.is_ready for reader in self._tasks)

    @contextmanager
    def running(self) -> Iterator[Readers]:
        """Start the loop, and end everything after it."""
        self._thread.start()
        try:
            yield self
        finally:
            self.go(self._tasks)
            self.run(self._loop.shutdown_default_executor())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


def have_all(readers: Iterable[Reader]) -> bool:
    """Whether each page has the last number of its user's stream."""
    readers = list(readers)
    last = dict(Stream.objects.filter(user__in=[one.user for one in readers]).values_list("user_id", "seq"))
    return all(one.seq == last.get(one.user.pk, 0) for one in readers)


def assert_exact(readers: Iterable[Reader]) -> None:
    """Each page shows what the database has, and got it in order and once."""
    for reader in readers:
        assert reader.numbers == sorted(set(reader.numbers)), "in order, each once"
        rows = Notification.objects.filter(user=reader.user, withdrawn_at=None).order_by("seq")
        shown = sorted(reader.shown.values(), key=lambda note: note["seq"])
        assert [(note["id"], note["seq"], note["data"].get("count")) for note in shown] == [
            (row.pk, row.seq, row.data.get("count")) for row in rows
        ]
