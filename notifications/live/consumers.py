"""Consumer: the protocol of one websocket."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import DatabaseError

from notifications import metrics
from notifications.live.connection import Connection
from notifications.live.frames import FrameRate, MalformedFrameError, note, number, parse
from notifications.live.rounds import is_signed_in
from notifications.live.stream_state import StreamState, in_thread, read_changes
from notifications.notices.notices import mark_read
from notifications.push import hints
from notifications.push.counts import current_counts

logger = structlog.get_logger("notifications.consumers")

#: Seconds between a client's pings.
HEARTBEAT = 25
#: Frames in ten seconds above which a client is closed.
FRAMES = 10
#: The same for watch and unwatch alone: a page watches all of its posts at once.
WATCH_FRAMES = 100
#: Seconds that a request for current counts waits for others, so that one query answers all posts of a page.
GATHER = 0.02
#: Groups of one socket at which another watch is refused: its own two, and those of 100 posts.
GROUPS = 2 + 100
#: Milliseconds after which a tab comes back whose session got a new key.
RENEWED_MS = 3_000
#: Malformed frames at which a client is closed: it is not one of ours.
MALFORMED_FRAMES = 3


class NotificationConsumer(Connection):
    """`/ws/notifications/`: every change to the user's notices, in order, none missed and none sent twice.

    Frames are JSON objects of at most 4 KB with `op`. The client begins, within 5 seconds:

        {op:"hello", v:1, last_seq, epoch}   last_seq: the last number it has; 0: none; null: only new ones
        {op:"read", upto, id}                mark all up to a number as read; the answer is an ack with this id
        {op:"watch", post_id, now}           send a post's counts when they change; with now:true also at once
        {op:"unwatch", post_id}
        {op:"ping"}                          every `hb` seconds; no pong means that the connection is dead

    The server answers hello with the notes since last_seq and then ready; after that it sends changes as they happen:

        {op:"ready", seq, unread, read_upto, epoch, hb}
        {op:"note", seq, id, kind, data, unread, read, created_at, text, link}   replaces the notice with this id
        {op:"gone", seq, id, unread}         the notice with this id was withdrawn
        {op:"unread", unread, read_upto}     notices were read here or in another tab
        {op:"counts", post_id, upvotes, downvotes, score, comments}
        {op:"ack", id}
        {op:"reset", reason}                 too_old, or epoch (another history): reload by HTTP
        {op:"drain", retry_ms}               the server is about to close: connect again after retry_ms
        {op:"error", code, id}               bad_json, bad_op, too_large, rate_limited
        {op:"pong"}

    Close codes, always after accepting: 4400 protocol, 4401 not signed in, 4403 banned, 4408 too slow, 4409 too many
    sockets, 4429 rate, 1012 restart, 1013 try later. After 4400, 4401 and 4403 a client does not connect again by
    itself; after any other code it does, with backoff and jitter.

    The database is the log. A hint with the next number is sent as it is; any other hint makes the socket read the
    database. A lock keeps hints and the rounds of `notifications.live.rounds` in order.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = asyncio.Lock()
        self._sent = self._unread = self._read_upto = 0
        self._epoch: uuid.UUID | None = None
        self._frames, self._watch_frames = FrameRate(FRAMES), FrameRate(WATCH_FRAMES)
        self._malformed = 0
        self._posts_asked_for: set[int] = set()
        self._answer: asyncio.Task[None] | None = None

    async def leave(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
        await super().leave()

    # Frames of the client

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.ended:
            return
        try:
            frame = parse(text_data)
        except MalformedFrameError as error:
            await self._refuse(error.code, malformed=True)
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
            except MalformedFrameError as error:
                await self._refuse(error.code, frame, malformed=True)

    async def _refuse(self, code: str, frame: Mapping[str, Any] | None = None, *, malformed: bool = False) -> None:
        await self.send_frame("error", code=code, id=(frame or {}).get("id"))
        self._malformed += malformed
        if self._malformed >= MALFORMED_FRAMES:
            await self.end(4400)

    async def _on_hello(self, frame: Mapping[str, Any]) -> None:
        if self.greeted:
            raise MalformedFrameError("bad_op")
        if frame.get("v") != 1:
            await self.end(4400)
            return
        last = None if frame.get("last_seq") is None else number(frame, "last_seq")
        epoch = frame.get("epoch")
        async with self._lock:
            state = await in_thread(read_changes, self.user_id, after=last)
            if last is not None and (last > state.seq or (epoch and epoch != str(state.epoch))):
                await self.send_frame("reset", reason="epoch")
            else:
                await self._send_rows(state)
            await self._send_ready(state)

    async def _send_ready(self, state: StreamState) -> None:
        self.greeted = True
        self._sent, self._unread, self._read_upto, self._epoch = state.seq, state.unread, state.read_upto, state.epoch
        await self.send_frame(
            "ready",
            seq=state.seq,
            unread=state.unread,
            read_upto=state.read_upto,
            epoch=str(state.epoch),
            hb=HEARTBEAT,
        )

    async def _on_ping(self, frame: Mapping[str, Any]) -> None:
        await self.send_frame("pong")

    async def _on_read(self, frame: Mapping[str, Any]) -> None:
        stream = await in_thread(mark_read, self.user_id, upto=number(frame, "upto"))
        await self.stream_moved(
            {"seq": stream.seq, "unread": stream.unread, "read_upto": stream.read_upto, "notice": None}
        )
        await self.send_frame("ack", id=frame.get("id"))

    async def _on_watch(self, frame: Mapping[str, Any]) -> None:
        post_id = number(frame, "post_id")
        group = hints.post_group(post_id)
        if group not in self.groups_joined and len(self.groups_joined) >= GROUPS:
            await self._refuse("rate_limited", frame)
            return
        await self.join(group)
        if frame.get("now") is True:
            self._posts_asked_for.add(post_id)
            if self._answer is None or self._answer.done():
                self._answer = asyncio.create_task(self._send_counts())

    async def _send_counts(self) -> None:
        """Send the current counts of the posts asked for; one query answers the requests of GATHER seconds."""
        while self._posts_asked_for:
            await asyncio.sleep(GATHER)
            post_ids, self._posts_asked_for = self._posts_asked_for, set()
            try:
                for counts in await in_thread(current_counts, post_ids):
                    await self.send_frame("counts", **counts)
            except DatabaseError as error:
                logger.warning("counts could not be sent", error=repr(error))

    async def _on_unwatch(self, frame: Mapping[str, Any]) -> None:
        group = hints.post_group(number(frame, "post_id"))
        if group in self.groups_joined:
            await self.part(group)

    # Messages of the channel layer, and calls of the rounds

    async def stream_moved(self, hint: Mapping[str, Any]) -> None:
        """Channel layer: the user's stream changed (see `push.hints.StreamHint`).

        1. Already sent, or before hello: nothing.
        2. The next notice: send it.
        3. No notice, but a new read_upto: send that.
        4. Anything else: a hint was lost; read the database.
        """
        async with self._lock:
            if not self.greeted or (hint["seq"] <= self._sent and hint["read_upto"] <= self._read_upto):
                return
            notice = hint["notice"]
            if notice and hint["seq"] == self._sent + 1 and hint["read_upto"] == self._read_upto:
                self._sent, self._unread = hint["seq"], hint["unread"]
                await self._send_note(hint["seq"], notice, path="live")
            elif not notice and hint["seq"] == self._sent:
                self._unread, self._read_upto = hint["unread"], hint["read_upto"]
                await self.send_frame("unread", unread=self._unread, read_upto=self._read_upto)
            else:
                await self._catch_up()

    async def post_counts(self, message: Mapping[str, Any]) -> None:
        """Channel layer: the counts of a watched post changed."""
        await self.send_frame("counts", **message["counts"])

    async def socket_end(self, message: Mapping[str, Any]) -> None:
        """Channel layer: the session was signed out, or the user banned."""
        await self.end(message["code"])

    async def session_recheck(self, message: Mapping[str, Any]) -> None:
        """Channel layer: the password changed. Tabs of the session that did it come back."""
        if hints.session_group(self.session_key) == message["renewed"]:
            await self.drain(RENEWED_MS)
            await self.end(1012)
        elif not await is_signed_in(self):
            await self.end(4401)

    def is_behind(self, state: StreamState) -> bool:
        """Whether the stream has changes that this socket has not sent."""
        return self.greeted and (
            state.seq > self._sent or state.read_upto > self._read_upto or state.epoch not in (self._epoch, None)
        )

    async def catch_up(self) -> None:
        """Send the changes that this socket has not sent."""
        async with self._lock:
            await self._catch_up()

    async def _catch_up(self) -> None:
        state = await in_thread(read_changes, self.user_id, after=self._sent)
        if state.epoch != self._epoch:
            await self.send_frame("reset", reason="epoch")
            await self._send_ready(state)
            return
        self._sent = state.seq
        await self._send_rows(state)
        if state.read_upto > self._read_upto:
            self._read_upto = state.read_upto
            await self.send_frame("unread", unread=state.unread, read_upto=state.read_upto)

    async def _send_rows(self, state: StreamState) -> None:
        self._unread = state.unread
        if state.too_many:
            await self.send_frame("reset", reason="too_old")
            return
        for row in state.rows:
            await self._send_note(row.seq, hints.as_dict(row), path="read")

    async def _send_note(self, seq: int, notice: Mapping[str, Any], *, path: str) -> None:
        metrics.NOTES_SENT.labels(path=path).inc()
        if notice["withdrawn"]:
            await self.send_frame("gone", seq=seq, id=notice["id"], unread=self._unread)
        else:
            await self.send_frame("note", seq=seq, unread=self._unread, **note(notice, language=self.language))
