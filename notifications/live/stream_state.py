"""Stream state: what a socket reads from the database, in a thread beside the event loop."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

from feeds.models import User
from notifications.models import Notification, Stream
from notifications.notices.names import refresh_names

P = ParamSpec("P")
T = TypeVar("T")

#: Changed notices that are sent at once; a client that missed more than this reloads the page instead.
BACKFILL = 200


@dataclass(frozen=True, kw_only=True)
class StreamState:
    """The state of a user's stream.

    active: the user is not banned. rows: the notices changed after a given number, if they were asked for.
    too_many: more than BACKFILL notices changed.
    """

    seq: int = 0
    unread: int = 0
    read_upto: int = 0
    epoch: uuid.UUID | None = None
    active: bool = True
    rows: list[Notification] = field(default_factory=list)
    too_many: bool = False


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run database work in a thread.

    Not in asgiref's thread-sensitive thread: the process has one of it, so that a slow query there would delay every
    socket. Only `channels.auth.get_user` still uses that one, when a socket connects and when its session is checked.
    """
    return await asyncio.to_thread(_with_fresh_connection, partial(work, *args, **kwargs))


def read_changes(user_id: int, *, after: int | None) -> StreamState:
    """The state of a user's stream, with the first BACKFILL notices changed after a number (None: without notices).

    The stream is read before the notices. A notice that changes in between has a higher number than the stream's: it
    is left out here, and sent with that number.
    """
    stream, _ = Stream.objects.get_or_create(user_id=user_id)
    rows: list[Notification] = []
    if after is not None and after < stream.seq:
        rows = list(Notification.objects.changed(user_id, after=after, upto=stream.seq)[: BACKFILL + 1])
    return StreamState(
        seq=stream.seq,
        unread=stream.unread,
        read_upto=stream.read_upto,
        epoch=stream.epoch,
        rows=list(refresh_names(rows[:BACKFILL])),
        too_many=len(rows) > BACKFILL,
    )


def read_states(user_ids: Iterable[int]) -> dict[int, StreamState]:
    """The states of these users' streams by user id; a user who no longer exists is left out."""
    rows = User.objects.filter(pk__in=list(user_ids)).values_list(
        "pk", "is_active", "stream__seq", "stream__unread", "stream__read_upto", "stream__epoch"
    )
    return {
        pk: StreamState(active=active, seq=seq or 0, unread=unread or 0, read_upto=read_upto or 0, epoch=epoch)
        for pk, active, seq, unread, read_upto, epoch in rows
    }


def is_banned(user_id: str | None) -> bool:
    """Whether a session belongs to a banned user; `user_id` is the id in the session, if there is one."""
    return bool(user_id) and User.objects.filter(pk=user_id, is_active=False).exists()


def _with_fresh_connection(work: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()
