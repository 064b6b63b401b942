"""Consumer: what is said over one websocket."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import DatabaseError

from notifications import metrics
from notifications.live.connection import Connection
from notifications.live.frames import Malformed, Rate, note, number, parse
from notifications.live.state import State, off_loop, read_changes
from notifications.notices.notices import mark_read
from notifications.push import counts
from notifications.push import hints as push
from notifications.push.registry import is_signed_in

logger = structlog.get_logger(__name__)

#: Seconds between a client's pings.
HEARTBEAT = 25
#: Frames in ten seconds; watch and unwatch are counted apart, for a page watches all of its posts at once.
FRAMES, WATCH_FRAMES = 10, 100
#: Seconds in which the posts are gathered whose present counts a page asks for.
GATHER = 0.02
#: Groups that one socket may be in: its own two, and those of the posts it watches.
GROUPS = 2 + 100
#: Milliseconds until a tab comes back whose session got a new key.
RENEWED_MS = 3_000
#: Malformed frames after which a client is not taken for one of ours.
STRIKES = 3


class NotificationConsumer(Connection):
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
        {op:"drain", retry_ms}               the server is about to close this socket: come back after so long
        {op:"error", code, id}               bad_json, bad_op, too_large, rate_limited
        {op:"pong"}

    It closes, always after accepting, with 4400 protocol, 4401 not signed in, 4403 banned, 4408 too slow, 4409 too
    many sockets, 4429 rate, 1012 restart, 1013 try later. After 4400, 4401 and 4403 a client does not come back by
    itself; after anything else it does, with backoff and jitter.

    The database is the log and hints are only hints: a hint with the very next number is sent as it is, any other makes
    the socket read the database. One lock keeps that in order with the round of `notifications.push.registry`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = asyncio.Lock()
        self._sent = self._unread = self._read_upto = 0
        self._epoch: uuid.UUID | None = None
        self._frames, self._watch_frames = Rate(FRAMES), Rate(WATCH_FRAMES)
        self._strikes = 0
        self._asked: set[int] = set()
        self._answer: asyncio.Task[None] | None = None

    async def leave(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
        await super().leave()

    # What the client says

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.ended:
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
        elif not self.greeted and frame["op"] not in ("hello", "ping"):
            await self.end(4400)
        else:
            try:
                await getattr(self, f"_on_{frame['op']}")(frame)
            except Malformed as malformed:
                await self._refuse(malformed.code, frame, strike=True)

    async def _refuse(self, code: str, frame: Mapping[str, Any] | None = None, *, strike: bool = False) -> None:
        await self.tell("error", code=code, id=(frame or {}).get("id"))
        self._strikes += strike
        if self._strikes >= STRIKES:
            await self.end(4400)

    async def _on_hello(self, frame: Mapping[str, Any]) -> None:
        if self.greeted:
            raise Malformed("bad_op")
        if frame.get("v") != 1:
            await self.end(4400)
            return
        last = None if frame.get("last_seq") is None else number(frame, "last_seq")
        epoch = frame.get("epoch")
        async with self._lock:
            state = await off_loop(read_changes, self.user_id, after=last)
            if last is not None and (last > state.seq or (epoch and epoch != str(state.epoch))):
                await self.tell("reset", reason="epoch")
            else:
                await self._send_rows(state)
            await self._be_ready(state)

    async def _be_ready(self, state: State) -> None:
        self.greeted = True
        self._sent, self._unread, self._read_upto, self._epoch = state.seq, state.unread, state.read_upto, state.epoch
        await self.tell(
            "ready",
            seq=state.seq,
            unread=state.unread,
            read_upto=state.read_upto,
            epoch=str(state.epoch),
            hb=HEARTBEAT,
        )

    async def _on_ping(self, frame: Mapping[str, Any]) -> None:
        await self.tell("pong")

    async def _on_read(self, frame: Mapping[str, Any]) -> None:
        stream = await off_loop(mark_read, self.user_id, upto=number(frame, "upto"))
        await self.stream_moved(
            {"seq": stream.seq, "unread": stream.unread, "read_upto": stream.read_upto, "notice": None}
        )
        await self.tell("ack", id=frame.get("id"))

    async def _on_watch(self, frame: Mapping[str, Any]) -> None:
        post_id = number(frame, "post_id")
        group = push.post_group(post_id)
        if group not in self.joined and len(self.joined) >= GROUPS:
            await self._refuse("rate_limited", frame)
            return
        await self.join(group)
        if frame.get("now") is True:
            self._asked.add(post_id)
            if self._answer is None or self._answer.done():
                self._answer = asyncio.create_task(self._tell_counts())

    async def _tell_counts(self) -> None:
        """The present counts of the posts asked for: a page asks for all its own at once, and one query tells."""
        while self._asked:
            await asyncio.sleep(GATHER)
            asked, self._asked = self._asked, set()
            try:
                for found in await off_loop(counts.present, asked):
                    await self.tell("counts", **found)
            except DatabaseError as error:
                logger.warning("counts could not be told", error=repr(error))

    async def _on_unwatch(self, frame: Mapping[str, Any]) -> None:
        group = push.post_group(number(frame, "post_id"))
        if group in self.joined:
            await self.part(group)

    # What the layer and the round say

    async def stream_moved(self, hint: Mapping[str, Any]) -> None:
        """A hint: the stream stands at seq, and notice is the one with that number."""
        async with self._lock:
            if not self.greeted or (hint["seq"] <= self._sent and hint["read_upto"] <= self._read_upto):
                return
            notice = hint["notice"]
            if notice and hint["seq"] == self._sent + 1 and hint["read_upto"] == self._read_upto:
                self._sent, self._unread = hint["seq"], hint["unread"]
                await self._send_note(hint["seq"], notice, path="live")
            elif not notice and hint["seq"] == self._sent:
                self._unread, self._read_upto = hint["unread"], hint["read_upto"]
                await self.tell("unread", unread=self._unread, read_upto=self._read_upto)
            else:
                await self._catch_up()

    async def post_counts(self, message: Mapping[str, Any]) -> None:
        """A watched post's counts."""
        await self.tell("counts", **message["counts"])

    async def socket_end(self, message: Mapping[str, Any]) -> None:
        """Signed out, or banned."""
        await self.end(message["code"])

    async def session_recheck(self, message: Mapping[str, Any]) -> None:
        """The password changed. In the session that did it the new cookie is on its way: come back with that."""
        if push.session_group(self.session_key) == message["renewed"]:
            await self.drain(RENEWED_MS)
            await self.end(1012)
        elif not await is_signed_in(self):
            await self.end(4401)

    def is_behind(self, state: State) -> bool:
        """Whether the stream has moved on without this socket."""
        return self.greeted and (
            state.seq > self._sent or state.read_upto > self._read_upto or state.epoch not in (self._epoch, None)
        )

    async def catch_up(self) -> None:
        """Send what this socket has not got."""
        async with self._lock:
            await self._catch_up()

    async def _catch_up(self) -> None:
        state = await off_loop(read_changes, self.user_id, after=self._sent)
        if state.epoch != self._epoch:
            await self.tell("reset", reason="epoch")
            await self._be_ready(state)
            return
        self._sent = state.seq
        await self._send_rows(state)
        if state.read_upto > self._read_upto:
            self._read_upto = state.read_upto
            await self.tell("unread", unread=state.unread, read_upto=state.read_upto)

    async def _send_rows(self, state: State) -> None:
        self._unread = state.unread
        if state.too_many:
            await self.tell("reset", reason="too_old")
            return
        for row in state.rows:
            await self._send_note(row.seq, push.describe(row), path="read")

    async def _send_note(self, seq: int, notice: Mapping[str, Any], *, path: str) -> None:
        metrics.NOTES_SENT.labels(path=path).inc()
        if notice["withdrawn"]:
            await self.tell("gone", seq=seq, id=notice["id"], unread=self._unread)
        else:
            await self.tell("note", seq=seq, unread=self._unread, **note(notice, language=self.language))
