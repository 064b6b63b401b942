"""Notices: notify users, withdraw notices, mark them read. The only code that writes streams and notices.

Each function takes all locks at once: it locks the streams concerned, in the order of the user ids, then writes. A
subscriber calls one of them once per transaction, so that no deadlock arises. Sockets get their hints after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from events.db import committed
from feeds.models import Block, Mute
from notifications.models import Notification, Stream
from notifications.notices.kind import KINDS
from notifications.notices.notice import Mode, Notice
from notifications.push.hints import StreamHint, push_streams

#: Notices withdrawn in one transaction, at most.
NOTICES_PER_TRANSACTION = 1000
#: The columns of a notice that may change.
MUTABLE = ["seq", "kind", "data", "post_id", "comment_id", "updated_at", "read_at", "withdrawn_at"]


def notify(notices: Iterable[Notice]) -> None:
    """Write notices, one per user and key; see `_apply` for what happens to a key that has a notice already.

    A notice that notifies is unread, be it new or changed. Left out are notices whose actor the user blocked or muted,
    or who blocked the user. Of several notices for one user and key, the kind of the highest rank is written.
    """
    chosen: dict[tuple[int, str], Notice] = {}
    for notice in _without_silenced(list(notices)):
        other = chosen.get((notice.user_id, notice.key))
        if other is None or KINDS[notice.kind].outranks(KINDS[other.kind]):
            chosen[notice.user_id, notice.key] = notice
    if not chosen:
        return
    with committed():
        writer = StreamWriter(user_id for user_id, _ in chosen)
        keys = {key for _, key in chosen}
        rows = Notification.objects.filter(user_id__in=writer.streams, group_key__in=keys)
        existing = {(row.user_id, row.group_key): row for row in rows}
        for user_and_key, notice in sorted(chosen.items()):
            _apply(writer, notice, existing.get(user_and_key))
        writer.write()


def withdraw(*, post_ids: Iterable[int] = (), comment_ids: Iterable[int] = ()) -> bool:
    """Withdraw notices of these posts and comments; True if more of them remain than one transaction takes."""
    content = Q(post_id__in=list(post_ids)) | Q(comment_id__in=list(comment_ids))
    rows = Notification.objects.shown().filter(content).order_by("user_id", "id").values_list("pk", flat=True)
    chunk = list(rows[: NOTICES_PER_TRANSACTION + 1])
    withdraw_rows(chunk[:NOTICES_PER_TRANSACTION])
    return len(chunk) > NOTICES_PER_TRANSACTION


def withdraw_rows(pks: Iterable[int]) -> None:
    """Withdraw the notices with these ids, except those already withdrawn."""
    with committed():
        rows = Notification.objects.shown().filter(pk__in=list(pks)).order_by("id")
        writer = StreamWriter(rows.order_by().values_list("user_id", flat=True))
        for row in rows:
            writer.withdraw(row)
        writer.write()


def mark_read(user_id: int, *, upto: int) -> Stream:
    """Mark all notices up to a number, inclusive, as read; a lower number than before changes nothing.

    Returns the stream as it is then.
    """
    with committed():
        stream = Stream.objects.lock([user_id])[user_id]
        upto = max(0, min(upto, stream.seq))
        unread = Notification.objects.unread().filter(user_id=user_id)
        read = unread.filter(seq__lte=upto).update(read_at=timezone.now())
        if read or upto > stream.read_upto:
            stream.read_upto = max(stream.read_upto, upto)
            stream.unread = unread.count()
            stream.save(update_fields=["read_upto", "unread"])
            _after_commit(partial(push_streams, [StreamHint.of(stream)]))
    return stream


class StreamWriter:
    """The changes of one transaction to the streams it locks; each changed notice gets its stream's next number."""

    def __init__(self, user_ids: Iterable[int]) -> None:
        self.streams = Stream.objects.lock(user_ids)
        self._before = {user_id: (stream.seq, stream.unread) for user_id, stream in self.streams.items()}
        self._new: list[Notification] = []
        self._changed: list[Notification] = []
        self._now = timezone.now()

    def create(self, notice: Notice, *, withdrawn: bool = False) -> None:
        """Add a notice, unread; or add it withdrawn."""
        row = Notification(
            user_id=notice.user_id,
            group_key=notice.key,
            created_at=self._now,
            withdrawn_at=self._now if withdrawn else None,
        )
        self._fill(row, notice)
        self._number(row, unread=int(row.is_unread))
        self._new.append(row)

    def update(self, row: Notification, notice: Notice, *, unread: bool) -> None:
        """Replace a notice's content and show it. unread: make it unread again; else it stays as it is."""
        was_unread = row.is_unread
        row.withdrawn_at = None
        if unread:
            row.read_at = None
        self._fill(row, notice)
        self._number(row, unread=row.is_unread - was_unread)
        self._changed.append(row)

    def withdraw(self, row: Notification) -> None:
        """Show a notice no longer."""
        was_unread = row.is_unread
        row.withdrawn_at = self._now
        self._number(row, unread=-int(was_unread))
        self._changed.append(row)

    def write(self) -> None:
        """Write all changes; push their hints after the commit."""
        rows = [*self._new, *self._changed]
        if not rows:
            return
        Notification.objects.bulk_create(self._new)
        # An upsert of existing rows: bulk_update would send a CASE per row and column, seconds for thousands of rows.
        Notification.objects.bulk_create(
            self._changed, update_conflicts=True, unique_fields=["id"], update_fields=MUTABLE
        )
        changed_users = {row.user_id for row in rows}
        Stream.objects.advance({user_id: self._step(user_id) for user_id in changed_users})
        hints = [StreamHint.of(self.streams[row.user_id], row) for row in rows]
        _after_commit(partial(push_streams, hints))

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


def _apply(writer: StreamWriter, notice: Notice, row: Notification | None) -> None:
    """Write one notice.

    mode         no row            shown                                       withdrawn
    NOTIFY       create            update, if the kind outranks the row's      update, if the kind grows
                                   kind, or grows and the data differs
    SILENT       create withdrawn  nothing                                     nothing
    UPDATE_ONLY  nothing           update without notifying, or withdraw if    nothing
                                   the data's count is 0
    """
    kind = KINDS[notice.kind]
    match notice.mode, row:
        case Mode.NOTIFY | Mode.SILENT, None:
            writer.create(notice, withdrawn=notice.mode is Mode.SILENT)
        case Mode.NOTIFY, Notification(withdrawn_at=None) as shown:
            if kind.outranks(KINDS.get(shown.kind)):
                writer.update(shown, notice, unread=True)
            elif kind.grows and shown.data != notice.data:
                writer.update(shown, notice, unread=_names_somebody_new(notice, shown))
        case Mode.NOTIFY, Notification() as withdrawn:
            if kind.grows:
                writer.update(withdrawn, notice, unread=_names_somebody_new(notice, withdrawn))
        case Mode.UPDATE_ONLY, Notification(withdrawn_at=None) as shown:
            if shown.data == notice.data:
                return
            if notice.data.get("count"):
                writer.update(shown, notice, unread=False)
            else:
                writer.withdraw(shown)


def _names_somebody_new(notice: Notice, row: Notification) -> bool:
    """Whether a notice has actors that are not in the row; False if they only did the same again."""
    actors = notice.data.get("actors", [])
    return not actors or not set(actors) <= set(row.data.get("actors", []))


def _without_silenced(notices: list[Notice]) -> list[Notice]:
    """These notices without those whose actor and user block, or whose actor the user mutes."""
    actors = {notice.actor_id for notice in notices if notice.actor_id is not None}
    users = {notice.user_id for notice in notices if notice.actor_id is not None}
    if not actors:
        return notices
    silenced = {
        *Block.objects.filter(user__in=users, target__in=actors).values_list("user_id", "target_id"),
        *Block.objects.filter(user__in=actors, target__in=users).values_list("target_id", "user_id"),
        *Mute.objects.filter(user__in=users, target__in=actors).values_list("user_id", "target_id"),
    }
    return [notice for notice in notices if (notice.user_id, notice.actor_id) not in silenced]


def _after_commit(callback: Callable[[], None]) -> None:
    """Robust: a failing hint fails nothing, as sockets also read the database."""
    transaction.on_commit(callback, robust=True)
