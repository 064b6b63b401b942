"""Hints: messages to open sockets that something changed; the database holds what changed.

A hint may be lost, doubled or out of order: a socket compares numbers, and reads the database every few seconds as
well. Call these functions after the commit. They do not wait for the network and do not fail with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from notifications.models import Notification, Stream
from notifications.push.channel_layer import has_listeners, send
from notifications.push.counts import current_counts


@dataclass(frozen=True, kw_only=True)
class StreamHint:
    """A user's stream changed: its state now and, if a notice caused it, the notice with the number `seq`."""

    user_id: int
    seq: int
    unread: int
    read_upto: int
    notice: dict[str, Any] | None = None

    @classmethod
    def of(cls, stream: Stream, row: Notification | None = None) -> StreamHint:
        """The hint for a stream, or for one changed notice in it."""
        seq = stream.seq if row is None else row.seq
        notice = None if row is None else as_dict(row)
        return cls(user_id=stream.user_id, seq=seq, unread=stream.unread, read_upto=stream.read_upto, notice=notice)


def as_dict(row: Notification) -> dict[str, Any]:
    """A notice in plain values: id, kind, data, read, created_at (ISO 8601), withdrawn."""
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
    """The group of a session's sockets, named by a hash: the key itself is a secret."""
    return f"session.{hashlib.sha256(session_key.encode()).hexdigest()[:32]}"


def post_group(post_id: int) -> str:
    """The group of the sockets that watch a post."""
    return f"post.{post_id}"


def push_streams(hints: Iterable[StreamHint]) -> None:
    """Send each hint to its user's sockets."""
    send(
        [
            (
                user_group(hint.user_id),
                {
                    "type": "stream.moved",
                    "seq": hint.seq,
                    "unread": hint.unread,
                    "read_upto": hint.read_upto,
                    "notice": hint.notice,
                },
            )
            for hint in hints
        ]
    )


def push_counts(post_ids: Iterable[int]) -> None:
    """Send the current counts of these posts to the sockets that watch them."""
    if has_listeners():
        send(
            [
                (post_group(counts["post_id"]), {"type": "post.counts", "counts": counts})
                for counts in current_counts(post_ids)
            ]
        )


def close_session(session_key: str) -> None:
    """Close the sockets of a session: it was signed out."""
    send([(session_group(session_key), {"type": "socket.end", "code": 4401})])


def close_user(user_id: int) -> None:
    """Close a user's sockets: the user was banned."""
    send([(user_group(user_id), {"type": "socket.end", "code": 4403})])


def recheck_user(user_id: int, *, renewed: str | None) -> None:
    """Make a user's sockets check that they are still signed in; the session `renewed` continues under a new key."""
    group = session_group(renewed) if renewed else None
    send([(user_group(user_id), {"type": "session.recheck", "renewed": group})])
