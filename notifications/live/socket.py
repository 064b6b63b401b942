"""Socket: the protocol of one websocket."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

import structlog

from feeds.sessions.signed_in import Visitor, visitors
from notifications import metrics
from notifications.live import connection
from notifications.live.batch import Batch
from notifications.live.connection import Connection, Link
from notifications.live.deadlines import deadlines
from notifications.live.frames import FrameRate, MalformedFrameError, answer_id, number, numbers, parse
from notifications.live.hub import Hub
from notifications.live.moved import Moved
from notifications.live.outgoing import Outgoing, encode
from notifications.live.per_loop import PerLoop
from notifications.live.rounds import rounds
from notifications.live.stream_state import Since, StreamState, read_changes
from notifications.live.threads import in_thread
from notifications.live.watches import Watch, Watched, read_watches
from notifications.notices.notices import mark_read
from notifications.push import hints
from notifications.push.registry import open_sockets

T = TypeVar("T")
logger = structlog.get_logger("notifications.socket")

#: Seconds between a client's pings.
HEARTBEAT = 25
#: Frames in ten seconds above which a client is closed.
FRAMES = 10
#: The same for watch and unwatch alone: a page watches all of its posts at once.
WATCH_FRAMES = 100
#: Seconds that a request to watch a post waits for others, so that one query answers all posts of a page.
GATHER = 0.02
#: Posts that one socket watches, at most.
WATCHED = 100
#: Milliseconds after which a tab comes back whose session got a new key.
RENEWED_MS = 3_000
#: Malformed frames at which a client is closed: it is not one of ours.
MALFORMED_FRAMES = 3
#: Hints that are held while the database is read; those beyond are dropped, and lead to another read.
MOST_HELD = 64
#: Sockets that are read for at once. Those who come after them wait for their turn, and the loop for nobody.
SOCKETS_PER_READ = 15


class NotificationSocket(Connection):
    """`/ws/notifications/`: every change to the user's notices, in order, none missed and none sent twice.

    Frames are JSON objects of at most 4 KB with `op`. The client begins, within 5 seconds:

        {op:"hello", v:1, last_seq, epoch}   last_seq: the last number it has; 0: none; null: only new ones
                                             user (optional): whose page it is; if it is another's session, 4401
        {op:"read", upto, id}                mark all up to a number as read; the answer is an ack with this id
        {op:"read", seqs, id}                mark the notices with these numbers as read, at most 100
        {op:"watch", post_id, now}           send a post's counts when they change; with now:true also at once
        {op:"unwatch", post_id}
        {op:"ping"}                          every `hb` seconds; no pong means that the connection is dead

    id: a whole number, or text of at most 64 characters; an answer to any other has the id null.

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
    database. Hints that come while it is read are held until it was, so that everything is sent in order.
    """

    __slots__ = (
        "_asked_for",
        "_epoch",
        "_frames",
        "_held",
        "_malformed",
        "_read_upto",
        "_reads",
        "_sent",
        "_watch_frames",
        "_watched",
    )

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self._sent = self._read_upto = self._reads = 0
        self._epoch: uuid.UUID | None = None
        self._frames, self._watch_frames = FrameRate(FRAMES), FrameRate(WATCH_FRAMES)
        self._malformed = 0
        #: Hints that came while the database is read for this socket; None: it is not.
        self._held: list[Moved] | None = None
        self._watched: set[int] = set()
        #: Posts that the client asked to watch and that are not checked yet, and whether to send their counts then.
        self._asked_for: dict[int, bool] = {}

    async def who_is_it(self) -> Visitor:
        return await visitors_read().ask(self.session_key) if self.session_key else Visitor()

    async def entered(self) -> None:
        if (close_code := open_sockets.add(self)) is not None:
            self.end(close_code)
            return
        rounds().start()
        await hub().join(hints.user_group(self.user_id), self)
        deadlines().set(self._no_hello, seconds=connection.HELLO_WITHIN)

    def leave(self) -> None:
        deadlines().call_off(self._no_hello)
        if hasattr(self, "user_id"):
            open_sockets.remove(self)
            hub().part(hints.user_group(self.user_id), self)
            self._part_posts()

    def _no_hello(self) -> None:
        self.end(4408)

    def _then(self, answer: asyncio.Future[T], use: Callable[[T], None]) -> None:
        """Use an answer of the database when it is there."""
        answer.add_done_callback(partial(self._use, use))

    def _use(self, use: Callable[[T], None], answer: asyncio.Future[T]) -> None:
        error = answer.exception()
        if self.ended:
            return
        if error is None:
            use(answer.result())
        else:
            logger.warning("a socket could not be served", error=repr(error))
            self.end(1013)

    # Frames of the client

    async def receive(self, text: str | None) -> None:
        try:
            frame = parse(text)
        except MalformedFrameError as error:
            self._refuse(error.code, malformed=True)
            return
        rate = self._watch_frames if frame["op"] in ("watch", "unwatch") else self._frames
        if not rate.allows():
            self._refuse("rate_limited", frame)
            self.end(4429)
        elif frame["op"] not in ("hello", "ping", "read", "watch", "unwatch"):
            self._refuse("bad_op", frame)
        elif not (self.greeted or self._held is not None) and frame["op"] not in ("hello", "ping"):
            self.end(4400)
        else:
            try:
                await getattr(self, f"_on_{frame['op']}")(frame)
            except MalformedFrameError as error:
                self._refuse(error.code, frame, malformed=True)

    def _refuse(self, code: str, frame: Mapping[str, Any] | None = None, *, malformed: bool = False) -> None:
        self.send_frame("error", code=code, id=answer_id(frame or {}))
        self._malformed += malformed
        if self._malformed >= MALFORMED_FRAMES:
            self.end(4400)

    async def _on_hello(self, frame: Mapping[str, Any]) -> None:
        if self.greeted or self._held is not None:
            raise MalformedFrameError("bad_op")
        if frame.get("v") != 1:
            self.end(4400)
            return
        if frame.get("user", self.user_id) != self.user_id:
            self.end(4401)
            return
        last = None if frame.get("last_seq") is None else number(frame, "last_seq")
        self._held = []
        state = await streams_read().ask(Since(self.user_id, last, self.language))
        epoch = frame.get("epoch")
        if last is not None and (last > state.seq or (epoch and epoch != str(state.epoch))):
            self.send_frame("reset", reason="epoch")
        else:
            self._send_notes(state)
        self._send_ready(state)
        self._release_held()

    def _send_ready(self, state: StreamState) -> None:
        deadlines().call_off(self._no_hello)
        self.greeted = True
        self._sent, self._epoch, self._read_upto, self._reads = state.seq, state.epoch, state.read_upto, state.reads
        self.send_frame(
            "ready",
            seq=state.seq,
            unread=state.unread,
            read_upto=state.read_upto,
            epoch=str(state.epoch),
            hb=HEARTBEAT,
        )

    async def _on_ping(self, frame: Mapping[str, Any]) -> None:
        self.send(PONG)

    async def _on_read(self, frame: Mapping[str, Any]) -> None:
        which: Any = {"seqs": numbers(frame, "seqs")} if "seqs" in frame else {"upto": number(frame, "upto")}
        stream = await in_thread(mark_read, self.user_id, **which)
        self.stream_moved(Moved(asdict(hints.StreamHint.of(stream))))
        self.send_frame("ack", id=answer_id(frame))

    async def _on_watch(self, frame: Mapping[str, Any]) -> None:
        post_id = number(frame, "post_id")
        if post_id not in self._watched and len(self._watched | self._asked_for.keys()) >= WATCHED:
            self._refuse("rate_limited", frame)
            return
        self._asked_for[post_id] = frame.get("now") is True
        await hub().join(hints.post_group(post_id), self)
        self._ask_for_post(post_id)

    def _ask_for_post(self, post_id: int) -> None:
        watch = Watch(self.user_id, post_id, now=self._asked_for[post_id])
        self._then(watches_read().ask(watch), partial(self._watch, post_id))

    def _watch(self, post_id: int, found: Watched) -> None:
        now = self._asked_for.get(post_id)
        if now is None:
            return  # not watched any more, or answered already
        if not found.shown:
            self._part_post(post_id)
        elif now and found.counts is None:
            self._ask_for_post(post_id)  # they have changed since it was asked for without them
        else:
            del self._asked_for[post_id]
            self._watched.add(post_id)
            if found.counts is not None:
                self.send_frame("counts", **found.counts)

    async def _on_unwatch(self, frame: Mapping[str, Any]) -> None:
        self._part_post(number(frame, "post_id"))

    def _part_post(self, post_id: int) -> None:
        if self._asked_for.pop(post_id, None) is not None or post_id in self._watched:
            self._watched.discard(post_id)
            hub().part(hints.post_group(post_id), self)

    def _part_posts(self) -> None:
        for post_id in {*self._watched, *self._asked_for}:
            self._part_post(post_id)

    # Messages of the channel layer, and calls of the rounds

    def stream_moved(self, hint: Moved) -> None:
        """The user's stream changed.

        1. Already sent, or before hello: nothing.
        2. The next notice: send it.
        3. No notice, but some were read: send how many are unread.
        4. Anything else: a hint was lost; read the database.
        """
        if self._held is not None:
            if len(self._held) < MOST_HELD:
                self._held.append(hint)
            return
        reads = self._reads if hint.reads is None else hint.reads
        has_more_read = hint.read_upto > self._read_upto or reads > self._reads
        if not self.greeted or (hint.seq <= self._sent and not has_more_read):
            return
        if hint.has_notice and hint.seq == self._sent + 1 and not has_more_read:
            self._sent = hint.seq
            NOTES_LIVE.inc()
            self.send(hint.frame(self.language))
        elif not hint.has_notice and hint.seq == self._sent:
            self._read_upto, self._reads = hint.read_upto, reads
            self.send_frame("unread", unread=hint.unread, read_upto=hint.read_upto)
        else:
            self.catch_up()

    def counts_changed(self, post_id: int, frame: Outgoing) -> None:
        """The counts of a post changed; frame: with them."""
        if post_id in self._watched:
            self.send(frame)
        elif post_id in self._asked_for:
            self._asked_for[post_id] = True

    def recheck_watched(self) -> None:
        """Stop sending the counts of posts that the user may no longer see."""
        for post_id in {*self._watched, *self._asked_for}:
            found = watches_read().ask(Watch(self.user_id, post_id, now=False))
            self._then(found, partial(self._watch_no_longer, post_id))

    def _watch_no_longer(self, post_id: int, found: Watched) -> None:
        if not found.shown:
            self._part_post(post_id)

    def recheck_session(self, *, renewed: str | None, ended: str | None = None) -> None:
        """A session of the user was signed out, or the password changed: is this one still signed in? Tabs of the
        session `renewed` come back."""
        mine = hints.session_name(self.session_key)
        if mine == ended:
            self.end(4401)
        elif mine == renewed:
            self.drain(RENEWED_MS)
            self.end(1012)
        else:
            self.check_session()

    def check_session(self) -> None:
        """Close the socket unless the session with which it was opened is still its user's."""
        self.checked = time.monotonic()
        self._then(visitors_read().ask(self.session_key), self._session_checked)

    def _session_checked(self, visitor: Visitor) -> None:
        if visitor.user_id != self.user_id:
            self.end(4403 if visitor.banned else 4401)

    def is_behind(self, state: StreamState) -> bool:
        """Whether the stream has changes that this socket has not sent."""
        return self.greeted and (
            state.seq > self._sent
            or state.read_upto > self._read_upto
            or state.reads > self._reads
            or state.epoch not in (self._epoch, None)
        )

    def catch_up(self) -> None:
        """Send the changes that this socket has not sent, when they were read."""
        if self._held is None:
            self._held = []
            self._then(streams_read().ask(Since(self.user_id, self._sent, self.language)), self._caught_up)

    def _caught_up(self, state: StreamState) -> None:
        if state.epoch != self._epoch:
            self.send_frame("reset", reason="epoch")
            self._send_ready(state)
        else:
            self._sent = state.seq
            self._send_notes(state)
            if state.read_upto > self._read_upto or state.reads > self._reads:
                self._read_upto, self._reads = state.read_upto, state.reads
                self.send_frame("unread", unread=state.unread, read_upto=state.read_upto)
        self._release_held()

    def _release_held(self) -> None:
        held, self._held = self._held or (), None
        for hint in held:
            self.stream_moved(hint)

    def _send_notes(self, state: StreamState) -> None:
        if state.too_many:
            self.send_frame("reset", reason="too_old")
        for text in state.notes:
            NOTES_READ.inc()
            self.send(Outgoing(text))


def opened(message: Mapping[str, Any]) -> Callable[[NotificationSocket], None]:
    """What a message of the layer does to each socket of its group. What is the same for all is made here, once."""
    match message["type"]:
        case "stream.moved":
            hint = Moved(message)
            return lambda socket: socket.stream_moved(hint)
        case "post.counts":
            post_id, frame = message["counts"]["post_id"], Outgoing(encode({"op": "counts", **message["counts"]}))
            return lambda socket: socket.counts_changed(post_id, frame)
        case "socket.end":
            return lambda socket: socket.end(message["code"])
        case "watched.recheck":
            return NotificationSocket.recheck_watched
        case "session.recheck":
            return lambda socket: socket.recheck_session(renewed=message["renewed"], ended=message.get("ended"))
        case other:
            raise ValueError(f"no socket knows a message of the type {other!r}")


PONG = Outgoing(encode({"op": "pong"}))
NOTES_LIVE, NOTES_READ = (metrics.NOTES_SENT.labels(path=path) for path in ("live", "read"))

hub: PerLoop[Hub[NotificationSocket]] = PerLoop(lambda: Hub(opened, unaddressed=lambda: rounds().soon()))
visitors_read: PerLoop[Batch[str, Visitor]] = PerLoop(lambda: Batch("session", visitors, most=SOCKETS_PER_READ))
streams_read: PerLoop[Batch[Since, StreamState]] = PerLoop(lambda: Batch("stream", read_changes, most=SOCKETS_PER_READ))
watches_read: PerLoop[Batch[Watch, Watched]] = PerLoop(
    lambda: Batch("watch", read_watches, most=SOCKETS_PER_READ * WATCHED, gather=GATHER)
)
