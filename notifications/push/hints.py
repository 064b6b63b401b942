"""Hints: messages to open sockets that something changed; the database holds what changed.

A hint may be lost, doubled or out of order: a socket compares numbers, and reads the database every few seconds as
well. Call these functions after the commit. They do not wait for the network and do not fail with it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from notifications.models import Stream
from notifications.push.channel_layer import Message, has_listeners, send
from notifications.push.counts import current_counts


class State(Protocol):
    """The part of a stream that is sent."""

    @property
    def user_id(self) -> int: ...
    @property
    def unread(self) -> int: ...
    @property
    def read_upto(self) -> int: ...
    @property
    def reads(self) -> int: ...


class Row(Protocol):
    """The part of a notice's row that is sent."""

    pk: int
    user_id: int
    seq: int
    kind: str
    data: Any
    created_at: dt.datetime
    withdrawn_at: dt.datetime | None

    @property
    def read(self) -> bool:
        """Whether it was read."""


@dataclass(frozen=True, kw_only=True)
class StreamHint:
    """A user's stream changed: its state now and, if a notice caused it, the notice with the number `seq`."""

    user_id: int
    seq: int
    unread: int
    read_upto: int
    reads: int
    notice: dict[str, Any] | None = None

    @classmethod
    def of(cls, stream: Stream) -> StreamHint:
        """The hint for a stream that changed otherwise than by a notice."""
        return cls(
            user_id=stream.user_id,
            seq=stream.seq,
            unread=stream.unread,
            read_upto=stream.read_upto,
            reads=stream.reads,
        )


def as_dict(row: Row) -> dict[str, Any]:
    """A notice in plain values: id, kind, data, read, created_at (ISO 8601), withdrawn."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "data": row.data,
        "read": row.read,
        "created_at": _as_text(row.created_at),
        "withdrawn": row.withdrawn_at is not None,
    }


#: The notices of one call have the same time.
_as_text = lru_cache(maxsize=16)(dt.datetime.isoformat)


def user_group(user_id: int) -> str:
    """The group of a user's sockets."""
    return f"user.{user_id}"


def session_name(session_key: str) -> str:
    """A session, named by a hash: the key itself is a secret."""
    return f"session.{hashlib.sha256(session_key.encode()).hexdigest()[:32]}"


def post_group(post_id: int) -> str:
    """The group of the sockets that watch a post."""
    return f"post.{post_id}"


def _moved(stream: State, seq: int, notice: dict[str, Any] | None) -> Message:
    return user_group(stream.user_id), {
        "type": "stream.moved",
        "seq": seq,
        "unread": stream.unread,
        "read_upto": stream.read_upto,
        "reads": stream.reads,
        "notice": notice,
    }


def push_streams(hints: Iterable[StreamHint]) -> None:
    """Send each hint to its user's sockets."""
    send([_moved(hint, hint.seq, hint.notice) for hint in hints])


def push_rows(streams: Mapping[int, State], rows: Iterable[Row]) -> None:
    """Send a hint of each changed notice to its user's sockets. streams: as they are now, by user id."""
    if has_listeners():
        send([_moved(streams[row.user_id], row.seq, as_dict(row)) for row in rows])


def push_counts(post_ids: Iterable[int]) -> None:
    """Send the current counts of these posts to the sockets that watch them."""
    if has_listeners():
        send(
            [
                (post_group(counts["post_id"]), {"type": "post.counts", "counts": counts})
                for counts in current_counts(post_ids)
            ]
        )


def close_session(session_key: str, *, user_id: int) -> None:
    """Close the sockets of a user's session: it was signed out."""
    _recheck(user_id, renewed=None, ended=session_name(session_key))


def close_user(user_id: int) -> None:
    """Close a user's sockets: the user was banned."""
    send([(user_group(user_id), {"type": "socket.end", "code": 4403})])


def recheck_watched(user_ids: Iterable[int]) -> None:
    """Make the sockets of these users check that the posts they watch are still shown to them."""
    send([(user_group(user_id), {"type": "watched.recheck"}) for user_id in user_ids])


def recheck_user(user_id: int, *, renewed: str | None) -> None:
    """Make a user's sockets check that they are still signed in; the session `renewed` continues under a new key."""
    _recheck(user_id, renewed=session_name(renewed) if renewed else None, ended=None)


def _recheck(user_id: int, *, renewed: str | None, ended: str | None) -> None:
    send([(user_group(user_id), {"type": "session.recheck", "renewed": renewed, "ended": ended})])
