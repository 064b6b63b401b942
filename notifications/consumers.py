"""Consumer: one websocket of one signed-in user."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth import SESSION_KEY
from django.db import DatabaseError
from redis.exceptions import RedisError

from notifications import counts, metrics, push
from notifications.frames import Malformed, Rate, language_of, note, number, parse
from notifications.notices import mark_read
from notifications.reading import State, is_banned, off_loop, read_changes
from notifications.sockets import sockets

logger = structlog.get_logger(__name__)

#: Seconds between a client's pings.
HEARTBEAT = 25
#: Seconds until hello must have come; that one frame, or the last one, may take to leave.
HELLO_WITHIN, SEND_WITHIN, CLOSE_WITHIN = 5.0, 5.0, 1.0
#: Frames in ten seconds; watch and unwatch are counted apart, for a page watches all of its posts at once.
FRAMES, WATCH_FRAMES = 10, 100
#: Seconds in which the posts are gathered whose present counts a page asks for.
GATHER = 0.02
#: Posts that one socket may watch.
WATCHED = 100
#: Malformed frames after which a client is not taken for one of ours.
STRIKES = 3


class NotificationConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """`/ws/notifications/`: what happened to the user's notices, in order, nothing missed and nothing twice.

    Frames are JSON objects of at most 4 KB with `op`. The client begins, within 5 seconds:

        {op:"hello", v:1, last_seq, epoch}   last_seq: the last number it has, 0 for none, null for "from now on"
        {op:"read", upto, id}                all up to a number is read; answered by ack with the same id
        {op:"watch", post_id, now}           wants a post's counts; with now:true the present ones at once
        {op:"unwatch", post_id}
        {op:"ping"}                          every `hb` seconds; no pong means that the connection is dead

    The server answers hello with the notes that were missed and then ready, and goes on with what happens:

        {op:"ready", seq, unread, read_upto, epoch, hb}
        {op:"note", seq, id, kind, data, unread, read, created_at, text, link}   replaces one with this id
        {op:"gone", seq, id, unread}         withdrawn
        {op:"unread", unread, read_upto}     read here or in another tab
        {op:"counts", post_id, upvotes, downvotes, score, comments}
        {op:"ack", id}
        {op:"reset", reason}                 too_old, or epoch (another history): reload by HTTP
        {op:"drain", retry_ms}               the server is about to stop: come back after so long
        {op:"error", code, id}               bad_json, bad_op, too_large, rate_limited, forbidden
        {op:"pong"}

    It closes, always after accepting, with 4400 protocol, 4401 not signed in, 4403 banned, 4408 too slow, 4409 too
    many sockets, 4429 rate, 1012 restart, 1013 try later. After 4400, 4401 and 4403 a client does not come back by
    itself; after anything else it does, with backoff and jitter.

    The database is the log and hints are only hints: a hint with the very next number is sent as it is, any other makes
    the socket read the database. One lock keeps that in order with the round of `notifications.sockets`.
    """

    user_id: int
    session_key: str
    checked: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = asyncio.Lock()
        self._sent: int | None = None
        self._epoch: uuid.UUID | None = None
        self._unread = self._read_upto = 0
        self._groups: set[str] = set()
        self._frames, self._watch_frames = Rate(FRAMES), Rate(WATCH_FRAMES)
        self._strikes = 0
        self._ended = self._stuck = False
        self._deadline: asyncio.Task[None] | None = None
        self._asked: set[int] = set()
        self._answer: asyncio.Task[None] | None = None

    # The life of a socket

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._leave()

    async def dispatch(self, message: Mapping[str, Any]) -> None:
        """Channels' own dispatch first sends every event through the process's one thread; ours need none."""
        try:
            await getattr(self, get_handler_name(message))(message)
        except (DatabaseError, RedisError) as error:
            logger.warning("a socket could not be served", error=repr(error))
            await self.end(1013)
        if self._stuck:
            raise StopConsumer

    async def connect(self) -> None:
        await self.accept()
        user, session = self.scope["user"], self.scope["session"]
        if not user.is_authenticated:
            banned = await off_loop(is_banned, session.get(SESSION_KEY))
            await self.end(4403 if banned else 4401)
            return
        self.user_id, self.session_key, self.checked = user.pk, session.session_key, time.monotonic()
        self._language = language_of(self.scope)
        if (refusal := sockets.enter(self)) is not None:
            await self.end(refusal)
            return
        await self._join(push.user_group(self.user_id))
        await self._join(push.session_group(self.session_key))
        self._deadline = asyncio.create_task(self._expect_hello())

    async def websocket_disconnect(self, message: Mapping[str, Any]) -> None:
        raise StopConsumer

    async def end(self, code: int) -> None:
        """Close with a code, once."""
        if self._ended:
            return
        self._ended = True
        metrics.SOCKETS_CLOSED.labels(code=str(code)).inc()
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await self.close(code)
        except TimeoutError:
            self._stuck = True

    async def drain(self, retry_ms: int) -> None:
        """Ask the client to come back: this server stops."""
        await self._tell("drain", retry_ms=retry_ms)

    async def _expect_hello(self) -> None:
        await asyncio.sleep(HELLO_WITHIN)
        if self._sent is None:
            await self.end(4408)

    async def _leave(self) -> None:
        for task in (self._deadline, self._answer):
            if task is not None:
                task.cancel()
        if hasattr(self, "user_id"):
            sockets.leave(self)
        with contextlib.suppress(RedisError):  # what is gone there is gone
            for group in list(self._groups):
                await self._part(group)

    async def _join(self, group: str) -> None:
        await self.channel_layer.group_add(group, self.channel_name)
        self._groups.add(group)

    async def _part(self, group: str) -> None:
        self._groups.discard(group)
        await self.channel_layer.group_discard(group, self.channel_name)

    async def _tell(self, op: str, **fields: Any) -> None:
        if self._ended:
            return
        try:
            async with asyncio.timeout(SEND_WITHIN):
                await self.send(text_data=json.dumps({"op": op, **fields}, ensure_ascii=False, separators=(",", ":")))
        except TimeoutError:
            await self.end(4408)

    # What the client says

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._ended:
            return
        try:
            frame = parse(text_data)
        except Malformed as malformed:
            await self._refuse(malformed.code, strike=True)
            return
        rate = self._watch_frames if frame["op"] in ("watch", "unwatch") else self._frames
        if not rate.allows():
            await self._refuse("rate_limited", frame)
            await self.end(4429)
        elif frame["op"] not in ("hello", "ping", "read", "watch", "unwatch"):
            await self._refuse("bad_op", frame)
        elif self._sent is None and frame["op"] not in ("hello", "ping"):
            await self.end(4400)
        else:
            try:
                await getattr(self, f"_on_{frame['op']}")(frame)
            except Malformed as malformed:
                await self._refuse(malformed.code, frame, strike=True)

    async def _refuse(self, code: str, frame: Mapping[str, Any] | None = None, *, strike: bool = False) -> None:
        await self._tell("error", code=code, id=(frame or {}).get("id"))
        self._strikes += strike
        if self._strikes >= STRIKES:
            await self.end(4400)

    async def _on_hello(self, frame: Mapping[str, Any]) -> None:
        if self._sent is not None:
            raise Malformed("bad_op")
        if frame.get("v") != 1:
            await self.end(4400)
            return
        last = None if frame.get("last_seq") is None else number(frame, "last_seq")
        epoch = frame.get("epoch")
        async with self._lock:
            state = await off_loop(read_changes, self.user_id, after=last)
            if last is not None and (last > state.seq or (epoch and epoch != str(state.epoch))):
                await self._tell("reset", reason="epoch")
            else:
                await self._send_rows(state)
            await self._be_ready(state)

    async def _be_ready(self, state: State) -> None:
        self._sent, self._unread, self._read_upto, self._epoch = state.seq, state.unread, state.read_upto, state.epoch
        await self._tell(
            "ready",
            seq=state.seq,
            unread=state.unread,
            read_upto=state.read_upto,
            epoch=str(state.epoch),
            hb=HEARTBEAT,
        )

    async def _on_ping(self, frame: Mapping[str, Any]) -> None:
        await self._tell("pong")

    async def _on_read(self, frame: Mapping[str, Any]) -> None:
        stream = await off_loop(mark_read, self.user_id, upto=number(frame, "upto"))
        await self.stream_moved(
            {"seq": stream.seq, "unread": stream.unread, "read_upto": stream.read_upto, "notice": None}
        )
        await self._tell("ack", id=frame.get("id"))

    async def _on_watch(self, frame: Mapping[str, Any]) -> None:
        post_id = number(frame, "post_id")
        group = push.post_group(post_id)
        if group not in self._groups and len(self._groups) >= WATCHED + 2:
            await self._refuse("rate_limited", frame)
            return
        await self._join(group)
        if frame.get("now") is True:
            self._asked.add(post_id)
            if self._answer is None or self._answer.done():
                self._answer = asyncio.create_task(self._tell_counts())

    async def _tell_counts(self) -> None:
        """The present counts of the posts asked for: a page asks for all its own at once, and one query tells."""
        await asyncio.sleep(GATHER)
        asked, self._asked = self._asked, set()
        try:
            for found in await off_loop(counts.present, asked):
                await self._tell("counts", **found)
        except DatabaseError as error:
            logger.warning("counts could not be told", error=repr(error))

    async def _on_unwatch(self, frame: Mapping[str, Any]) -> None:
        group = push.post_group(number(frame, "post_id"))
        if group in self._groups:
            await self._part(group)

    # What the layer and the round say

    async def stream_moved(self, hint: Mapping[str, Any]) -> None:
        """A hint: the stream stands at seq, and notice is the one with that number."""
        async with self._lock:
            if self._sent is None or (hint["seq"] <= self._sent and hint["read_upto"] <= self._read_upto):
                return
            notice = hint["notice"]
            if notice and hint["seq"] == self._sent + 1 and hint["read_upto"] == self._read_upto:
                self._sent, self._unread = hint["seq"], hint["unread"]
                await self._send_note(hint["seq"], notice, path="live")
            elif not notice and hint["seq"] == self._sent:
                self._unread, self._read_upto = hint["unread"], hint["read_upto"]
                await self._tell("unread", unread=self._unread, read_upto=self._read_upto)
            else:
                await self._catch_up()

    async def post_counts(self, message: Mapping[str, Any]) -> None:
        """A watched post's counts."""
        await self._tell("counts", **message["counts"])

    async def socket_end(self, message: Mapping[str, Any]) -> None:
        """Signed out, or banned."""
        await self.end(message["code"])

    def is_behind(self, state: State) -> bool:
        """Whether the stream has moved on without this socket."""
        return self._sent is not None and (
            state.seq > self._sent or state.read_upto > self._read_upto or state.epoch not in (self._epoch, None)
        )

    async def catch_up(self) -> None:
        """Send what this socket has not got."""
        async with self._lock:
            await self._catch_up()

    async def _catch_up(self) -> None:
        state = await off_loop(read_changes, self.user_id, after=self._sent)
        if state.epoch != self._epoch:
            await self._tell("reset", reason="epoch")
            await self._be_ready(state)
            return
        self._sent = state.seq
        await self._send_rows(state)
        if state.read_upto > self._read_upto:
            self._read_upto = state.read_upto
            await self._tell("unread", unread=state.unread, read_upto=state.read_upto)

    async def _send_rows(self, state: State) -> None:
        self._unread = state.unread
        if state.too_many:
            await self._tell("reset", reason="too_old")
            return
        for row in state.rows:
            await self._send_note(row.seq, push.describe(row), path="read")

    async def _send_note(self, seq: int, notice: Mapping[str, Any], *, path: str) -> None:
        metrics.NOTES_SENT.labels(path=path).inc()
        if notice["withdrawn"]:
            await self._tell("gone", seq=seq, id=notice["id"], unread=self._unread)
        else:
            await self._tell("note", seq=seq, unread=self._unread, **note(notice, language=self._language))
