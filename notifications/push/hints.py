"""Push: hints for open sockets, the only call to the channel layer.

A hint says that something changed; the database holds what. So hints may be lost, doubled or out of order: sockets
compare numbers, and ask the database from time to time anyway. Nothing here waits for the network or fails with it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import InMemoryChannelLayer, get_channel_layer
from redis.exceptions import RedisError

from events.pool import PoolError, get_pool
from notifications import metrics
from notifications.models import Notification, Stream
from notifications.push import counts
from notifications.push.registry import sockets

logger = structlog.get_logger(__name__)

#: Seconds that the channel layer gets for one batch of hints, and more for each hundred in it.
TIMEOUT = 5.0
#: Batches on their way at once; with more the layer hangs, and hints are dropped rather than heaped up.
MOST_PENDING = 500
_pending = 0
_sending: set[asyncio.Task[None]] = set()

Message = tuple[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Ring:
    """A user's stream moved: where it stands now and, if a notice did it, the notice with that number."""

    user_id: int
    seq: int
    unread: int
    read_upto: int
    notice: dict[str, Any] | None = None

    @classmethod
    def of(cls, stream: Stream, row: Notification | None = None) -> Ring:
        """The hint for a stream, or for one changed notice in it."""
        seq = stream.seq if row is None else row.seq
        notice = None if row is None else describe(row)
        return cls(user_id=stream.user_id, seq=seq, unread=stream.unread, read_upto=stream.read_upto, notice=notice)


def describe(row: Notification) -> dict[str, Any]:
    """A notice in plain values."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "data": row.data,
        "read": row.read,
        "created_at": row.created_at.isoformat(),
        "withdrawn": row.withdrawn_at is not None,
    }


def user_group(user_id: int) -> str:
    """The group of a user's sockets."""
    return f"user.{user_id}"


def session_group(session_key: str) -> str:
    """The group of a session's sockets; the key itself is a secret."""
    return f"session.{hashlib.sha256(session_key.encode()).hexdigest()[:32]}"


def post_group(post_id: int) -> str:
    """The group of the sockets that watch a post."""
    return f"post.{post_id}"


def ring(rings: Iterable[Ring]) -> None:
    """Tell the sockets of these users. Call it after the commit."""
    send(
        [
            (
                user_group(one.user_id),
                {
                    "type": "stream.moved",
                    "seq": one.seq,
                    "unread": one.unread,
                    "read_upto": one.read_upto,
                    "notice": one.notice,
                },
            )
            for one in rings
        ]
    )


def push_counts(post_ids: Iterable[int]) -> None:
    """Tell those who watch these posts what the counts are now. Call it after the commit."""
    if _somebody_may_listen():
        found = counts.present(post_ids)
        send([(post_group(one["post_id"]), {"type": "post.counts", "counts": one}) for one in found])


def close_session(session_key: str) -> None:
    """End the sockets of a session: it was signed out."""
    send([(session_group(session_key), {"type": "socket.end", "code": 4401})])


def close_user(user_id: int) -> None:
    """End a user's sockets: banned."""
    send([(user_group(user_id), {"type": "socket.end", "code": 4403})])


def recheck_user(user_id: int, *, renewed: str | None) -> None:
    """Let a user's sockets look whether they are still signed in; the session `renewed` goes on under a new key."""
    group = session_group(renewed) if renewed else None
    send([(user_group(user_id), {"type": "session.recheck", "renewed": group})])


def send(messages: Sequence[Message]) -> None:
    """Hand messages to the layer: on the server's own loop if it lives in this process, else on the pool's."""
    if not messages or not _somebody_may_listen():
        return
    if is_local():
        loop = sockets.loop
        if loop is not None:
            asyncio.run_coroutine_threadsafe(_send(messages), loop)
        return
    if _pending >= MOST_PENDING:
        metrics.HINTS_LOST.inc(len(messages))
        return
    try:
        get_pool().try_submit(_send, messages)
    except PoolError:
        _send_here(messages)


def is_local() -> bool:
    """Whether hints stay in this process."""
    return isinstance(get_channel_layer(), InMemoryChannelLayer)


def _somebody_may_listen() -> bool:
    return get_channel_layer() is not None and not (is_local() and sockets.loop is None)


def _send_here(messages: Sequence[Message]) -> None:
    """Send in this thread; on an event loop, which must not be blocked, as a task of it."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        async_to_sync(_send)(messages)
        return
    task = loop.create_task(_send(messages))
    _sending.add(task)  # a loop keeps no strong reference to its tasks
    task.add_done_callback(_sending.discard)


async def _send(messages: Sequence[Message]) -> None:
    global _pending
    layer = get_channel_layer()
    _pending += 1
    try:
        async with asyncio.timeout(TIMEOUT + len(messages) / 100):
            for group, message in messages:
                await layer.group_send(group, message)
    except (RedisError, OSError, TimeoutError) as error:
        metrics.HINTS_LOST.inc(len(messages))
        logger.warning("hints lost; sockets will ask the database", error=repr(error), hints=len(messages))
    finally:
        _pending -= 1
