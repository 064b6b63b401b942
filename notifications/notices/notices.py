"""Notices: notify people, withdraw what they were told, mark it read. The only code that writes streams and notices.

Each verb is one pass: hold the streams concerned, in the order of the users, then write. A subscriber makes one such
call per transaction, so that two of them never wait in a circle. The sockets hear of it after the commit.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from feeds.models import Block, Mute
from notifications.kinds import KINDS
from notifications.models import Notification, Stream
from notifications.push import hints as push

#: Notices withdrawn in one transaction.
CHUNK = 1000
#: What may change of a notice.
MUTABLE = ["seq", "kind", "data", "post_id", "comment_id", "updated_at", "read_at", "withdrawn_at"]


class Way(enum.Enum):
    """How a notice comes: it rings; it is noted, so that it never will; or it only corrects one that is there."""

    RING = enum.auto()
    NOTE = enum.auto()
    CORRECT = enum.auto()


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What one person is to be told. `key`: what it is about. `actor_id`: whose doing it is, if one person's."""

    user_id: int
    kind: str
    key: str
    data: dict[str, Any]
    actor_id: int | None = None
    way: Way = Way.RING

    @property
    def rank(self) -> int:
        """Of two notices to one person about one thing the higher tells."""
        return KINDS[self.kind].rank


def notify(notices: Iterable[Notice]) -> None:
    """Tell people, each of one thing once: a known notice changes only if its kind grows or one of higher rank comes.

    A notice that rings is unread, whether new or grown. The doings of those whom a person blocked or muted, or who
    blocked the person, are left out.
    """
    wanted: dict[tuple[int, str], Notice] = {}
    for notice in _heard(list(notices)):
        known = wanted.get((notice.user_id, notice.key))
        if known is None or known.rank < notice.rank:
            wanted[notice.user_id, notice.key] = notice
    if not wanted:
        return
    with transaction.atomic():
        change = Change(user_id for user_id, _ in wanted)
        keys = {key for _, key in wanted}
        rows = Notification.objects.filter(user_id__in=change.streams, group_key__in=keys)
        known_rows = {(row.user_id, row.group_key): row for row in rows}
        for about, notice in sorted(wanted.items()):
            _tell(change, notice, known_rows.get(about))
        change.write()


def withdraw(*, post_ids: Iterable[int] = (), comment_ids: Iterable[int] = ()) -> bool:
    """Take back what was told of these posts and comments; True if more than one chunk is left to do."""
    about = Q(post_id__in=list(post_ids)) | Q(comment_id__in=list(comment_ids))
    found = Notification.objects.shown().filter(about).order_by("user_id", "id").values_list("pk", flat=True)
    chunk = list(found[: CHUNK + 1])
    withdraw_rows(chunk[:CHUNK])
    return len(chunk) > CHUNK


def withdraw_rows(pks: Iterable[int]) -> None:
    """Take these notices back, those that still are shown."""
    with transaction.atomic():
        rows = Notification.objects.shown().filter(pk__in=list(pks)).order_by("id")
        change = Change(rows.order_by().values_list("user_id", flat=True))
        for row in rows:
            change.withdraw(row)
        change.write()


def mark_read(user_id: int, *, upto: int) -> Stream:
    """All up to a number is read; the number never goes back. Returns the stream as it now is."""
    with transaction.atomic():
        stream = Stream.objects.hold([user_id])[user_id]
        upto = max(0, min(upto, stream.seq))
        unread = Notification.objects.unread().filter(user_id=user_id)
        read = unread.filter(seq__lte=upto).update(read_at=timezone.now())
        if read or upto > stream.read_upto:
            stream.read_upto = max(stream.read_upto, upto)
            stream.unread = unread.count()
            stream.save(update_fields=["read_upto", "unread"])
            _after_commit(partial(push.ring, [push.Ring.of(stream)]))
    return stream


class Change:
    """What one transaction does to the streams it holds; every changed notice takes the next number of its stream."""

    def __init__(self, user_ids: Iterable[int]) -> None:
        self.streams = Stream.objects.hold(user_ids)
        self._before = {user_id: (stream.seq, stream.unread) for user_id, stream in self.streams.items()}
        self._new: list[Notification] = []
        self._changed: list[Notification] = []
        self._now = timezone.now()

    def create(self, notice: Notice, *, withdrawn: bool = False) -> None:
        """A new notice, unread; or one that is only noted."""
        row = Notification(
            user_id=notice.user_id,
            group_key=notice.key,
            created_at=self._now,
            withdrawn_at=self._now if withdrawn else None,
        )
        self._fill(row, notice)
        self._number(row, unread=int(row.is_unread))
        self._new.append(row)

    def rewrite(self, row: Notification, notice: Notice, *, ring: bool) -> None:
        """Another content, shown; if it rings, it is unread again."""
        was_unread = row.is_unread
        row.withdrawn_at = None
        if ring:
            row.read_at = None
        self._fill(row, notice)
        self._number(row, unread=row.is_unread - was_unread)
        self._changed.append(row)

    def withdraw(self, row: Notification) -> None:
        """It is no longer shown."""
        was_unread = row.is_unread
        row.withdrawn_at = self._now
        self._number(row, unread=-int(was_unread))
        self._changed.append(row)

    def write(self) -> None:
        """Write everything, and ring after the commit."""
        rows = [*self._new, *self._changed]
        if not rows:
            return
        Notification.objects.bulk_create(self._new)
        # An upsert of known rows: bulk_update would send a CASE per row and column, for thousands of rows many seconds.
        Notification.objects.bulk_create(
            self._changed, update_conflicts=True, unique_fields=["id"], update_fields=MUTABLE
        )
        changed_users = {row.user_id for row in rows}
        Stream.objects.advance({user_id: self._step(user_id) for user_id in changed_users})
        rings = [push.Ring.of(self.streams[row.user_id], row) for row in rows]
        _after_commit(partial(push.ring, rings))

    def _fill(self, row: Notification, notice: Notice) -> None:
        row.kind, row.data = notice.kind, notice.data
        row.post_id, row.comment_id = notice.data.get("post_id"), notice.data.get("comment_id")

    def _number(self, row: Notification, *, unread: int) -> None:
        stream = self.streams[row.user_id]
        stream.seq += 1
        stream.unread += unread
        row.seq, row.updated_at = stream.seq, self._now

    def _step(self, user_id: int) -> tuple[int, int]:
        stream, (seq, unread) = self.streams[user_id], self._before[user_id]
        return stream.seq - seq, stream.unread - unread


def _tell(change: Change, notice: Notice, row: Notification | None) -> None:
    """One notice, in the way it comes."""
    grows = KINDS[notice.kind].grows
    if notice.way is Way.CORRECT:
        if row is None or row.withdrawn_at or row.data == notice.data:
            return
        if notice.data.get("count"):
            change.rewrite(row, notice, ring=False)
        else:
            change.withdraw(row)
    elif row is None:
        change.create(notice, withdrawn=notice.way is Way.NOTE)
    elif notice.way is Way.RING:
        old = KINDS.get(row.kind)
        outranked = row.withdrawn_at is None and (old is None or old.rank < notice.rank)
        grown = grows and (row.withdrawn_at is not None or row.data != notice.data)
        if grown or outranked:
            change.rewrite(row, notice, ring=outranked or not _knows_all(row, notice))


def _knows_all(row: Notification, notice: Notice) -> bool:
    """Whether all whom a growing notice names have been told of: they took back what they did, and did it again."""
    told, actors = row.data.get("actors", []), notice.data.get("actors", [])
    return bool(actors) and set(actors) <= set(told)


def _heard(notices: list[Notice]) -> list[Notice]:
    """Those whose actor the person wants to hear of."""
    actors = {notice.actor_id for notice in notices if notice.actor_id is not None}
    people = {notice.user_id for notice in notices if notice.actor_id is not None}
    if not actors:
        return notices
    silenced = {
        *Block.objects.filter(user__in=people, target__in=actors).values_list("user_id", "target_id"),
        *Block.objects.filter(user__in=actors, target__in=people).values_list("target_id", "user_id"),
        *Mute.objects.filter(user__in=people, target__in=actors).values_list("user_id", "target_id"),
    }
    return [notice for notice in notices if (notice.user_id, notice.actor_id) not in silenced]


def _after_commit(callback: Callable[[], None]) -> None:
    """A hint that fails is no failure of what was written: sockets ask the database, too."""
    transaction.on_commit(callback, robust=True)
