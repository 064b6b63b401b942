"""Reading: what sockets ask of the database, off the event loop."""

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
from notifications.notices.names import rename

P = ParamSpec("P")
T = TypeVar("T")

#: A client that missed more than this reloads instead.
BACKFILL = 200


@dataclass(frozen=True, kw_only=True)
class State:
    """Where a user's stream stands; without rows of changed notices after a number, and whether they were too many."""

    seq: int = 0
    unread: int = 0
    read_upto: int = 0
    epoch: uuid.UUID | None = None
    active: bool = True
    rows: list[Notification] = field(default_factory=list)
    too_many: bool = False


async def off_loop(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run database work in a thread.

    Not in asgiref's thread-sensitive one: that is one for the whole process; a slow query there stalls every socket
    that waits for it. Who a session belongs to is asked there all the same, by `channels.auth.get_user`: when a socket
    connects, and when its session is looked at again.
    """
    return await asyncio.to_thread(_with_fresh_connection, partial(work, *args, **kwargs))


def read_changes(user_id: int, *, after: int | None) -> State:
    """A user's stream and what changed in it after a number (None: nothing is asked), as many as are sent at once.

    The stream is read first. A notice that meanwhile moves to a higher number leaves a hole here, and comes with that.
    """
    stream, _ = Stream.objects.get_or_create(user_id=user_id)
    rows: list[Notification] = []
    if after is not None and after < stream.seq:
        rows = list(Notification.objects.changed(user_id, after=after, upto=stream.seq)[: BACKFILL + 1])
    return State(
        seq=stream.seq,
        unread=stream.unread,
        read_upto=stream.read_upto,
        epoch=stream.epoch,
        rows=list(rename(rows[:BACKFILL])),
        too_many=len(rows) > BACKFILL,
    )


def read_states(user_ids: Iterable[int]) -> dict[int, State]:
    """Where the streams of these users stand; who is gone is left out."""
    rows = User.objects.filter(pk__in=list(user_ids)).values_list(
        "pk", "is_active", "stream__seq", "stream__unread", "stream__read_upto", "stream__epoch"
    )
    return {
        pk: State(active=active, seq=seq or 0, unread=unread or 0, read_upto=read_upto or 0, epoch=epoch)
        for pk, active, seq, unread, read_upto, epoch in rows
    }


def is_banned(user_id: str | None) -> bool:
    """Whether a session belongs to somebody who was banned."""
    return bool(user_id) and User.objects.filter(pk=user_id, is_active=False).exists()


def _with_fresh_connection(work: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()
