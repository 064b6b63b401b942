"""Notices: notify users, withdraw notices, mark them read. The only code that writes streams and notices.

Each function takes all locks at once: it locks the streams concerned, in the order of the user ids, then writes. A
subscriber calls one of them once per transaction, so that no deadlock arises. Sockets get their hints after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from events.db import committed
from notifications.models import Notification, Stream
from notifications.notices.kind import KINDS
from notifications.notices.notice import Mode, Notice
from notifications.notices.rows import Found, NewRow, existing_rows, find, lock_streams, write_rows
from notifications.push.hints import Row, StreamHint, push_rows, push_streams

#: Notices withdrawn in one transaction, at most.
NOTICES_PER_TRANSACTION = 1000
#: The fields of a notice's data that hold what people wrote, or are called.
WORDS = frozenset({"title", "names"})


def notify(notices: Iterable[Notice]) -> None:
    """Write notices, one per user and key; see `_apply` for what happens to a key that has a notice already.

    A notice that notifies is unread, be it new or changed. Left out are notices of a person whom the user blocked or
    muted, or who blocked the user, and those that lead to such a person's post. Of several notices for one user and
    key, the kind of the highest rank is written.
    """
    wanted = list(notices)
    if not wanted:
        return
    with committed():
        # The streams are locked first: a block under way waits for this transaction, or is seen by `find`.
        writer = StreamWriter(notice.user_id for notice in wanted)
        found = find(wanted)
        _apply_all(writer, _allowed(wanted, found), found.rows)
        writer.write()


def hide_people(pairs: Sequence[tuple[int, int]], *, recounted: Iterable[Notice], limit: int) -> set[tuple[int, int]]:
    """For each user and person withdraw the user's notices of that person, and those that lead to the person's posts;
    apply `recounted`, notices without the person in the place of those that gather several people.

    limit: withdrawn notices for each pair. Returns the pairs of which more remain.
    """
    more: set[tuple[int, int]] = set()
    with committed():
        writer = StreamWriter(user_id for user_id, _ in pairs)
        notices = list(recounted)
        _apply_all(writer, notices, existing_rows(notices))
        for user_id, person_id in pairs:
            shown = Notification.objects.shown().filter(user_id=user_id)
            found = shown.below(person_id).union(shown.of_person(person_id)).order_by("id")[: limit + 1]
            rows = writer.unchanged(found)
            for row in rows[:limit]:
                writer.withdraw(row)
            if len(rows) > limit:
                more.add((user_id, person_id))
        writer.write()
    return more


def withdraw_subjects(subjects: Collection[tuple[int, str]]) -> None:
    """Withdraw the notices with these keys: pairs of a user and a subject."""
    users, keys = {user_id for user_id, _ in subjects}, {key for _, key in subjects}
    rows = Notification.objects.shown().filter(user_id__in=users, group_key__in=keys)
    withdraw_rows([pk for pk, *subject in rows.values_list("pk", "user_id", "group_key") if tuple(subject) in subjects])


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


def mark_read(user_id: int, *, upto: int = 0, seqs: Collection[int] = ()) -> Stream:
    """Mark notices as read: all up to a number, inclusive, and those with these numbers. What is read stays read.

    A notice that has changed since has another number, and stays unread. Returns the stream as it is then.
    """
    with committed():
        stream = Stream.objects.lock([user_id])[user_id]
        upto = max(0, min(upto, stream.seq))
        unread = Notification.objects.unread().filter(user_id=user_id)
        read = unread.filter(Q(seq__lte=upto) | Q(seq__in=seqs)).update(read_at=timezone.now())
        if read or upto > stream.read_upto:
            stream.read_upto = max(stream.read_upto, upto)
            stream.reads += 1
            stream.unread = unread.count()
            stream.save(update_fields=["read_upto", "reads", "unread"])
            _after_commit(partial(push_streams, [StreamHint.of(stream)]))
    return stream


class StreamWriter:
    """The changes of one transaction to the streams it locks; each changed notice gets its stream's next number."""

    def __init__(self, user_ids: Iterable[int]) -> None:
        self.streams = lock_streams(user_ids)
        self._before = {user_id: (stream.seq, stream.unread) for user_id, stream in self.streams.items()}
        self._new: list[NewRow] = []
        self._changed: list[Notification] = []
        self._now = timezone.now()

    def create(self, notice: Notice, *, withdrawn: bool = False) -> None:
        """Add a notice, unread; or add it withdrawn."""
        stream = self.streams[notice.user_id]
        stream.seq += 1
        stream.unread += not withdrawn
        data = _without_words(notice.data) if withdrawn else notice.data
        withdrawn_at = self._now if withdrawn else None
        self._new.append(NewRow(notice.user_id, stream.seq, notice.kind, notice.key, data, self._now, withdrawn_at))

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
        """Show a notice no longer, and keep no words of what it was about."""
        was_unread = row.is_unread
        row.withdrawn_at, row.data = self._now, _without_words(row.data)
        self._number(row, unread=-int(was_unread))
        self._changed.append(row)

    def unchanged(self, rows: Iterable[Notification]) -> list[Notification]:
        """Those of these rows that were not changed here."""
        changed = {row.pk for row in self._changed}
        return [row for row in rows if row.pk not in changed]

    def write(self) -> None:
        """Write all changes; push their hints after the commit."""
        written: list[Row] = [*self._new, *self._changed]
        if not written:
            return
        write_rows(self._new, self._changed, {row.user_id: self._step(row.user_id) for row in written}, self._now)
        _after_commit(partial(push_rows, self.streams, written))

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


def _apply_all(
    writer: StreamWriter, notices: Iterable[Notice], existing: Mapping[tuple[int, str], Notification]
) -> None:
    """Write these notices, of those for one user and key only the one whose kind has the highest rank.

    existing: the notices that exist, by user and key.
    """
    chosen: dict[tuple[int, str], Notice] = {}
    for notice in notices:
        other = chosen.get((notice.user_id, notice.key))
        if other is None or KINDS[notice.kind].outranks(KINDS[other.kind]):
            chosen[notice.user_id, notice.key] = notice
    for user_and_key in sorted(chosen):
        _apply(writer, chosen[user_and_key], existing.get(user_and_key))


def _apply(writer: StreamWriter, notice: Notice, row: Notification | None) -> None:
    """Write one notice.

    mode         no row            shown                                       withdrawn
    NOTIFY       create            update, if the kind outranks the row's      update, if the kind grows
                                   kind, or grows and the data differs         or returns
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
            elif kind.returns:
                writer.update(withdrawn, notice, unread=False)
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


def _allowed(notices: list[Notice], found: Found) -> list[Notice]:
    """These notices without those to users who left for good, whose texts may stay, and are voted and commented on;
    and without those of a person, or on a post of a person, who is hidden from the user."""
    left, hidden, author_of = found.left, found.hidden, found.author_of
    if not left and not hidden:
        return notices

    def is_allowed(notice: Notice) -> bool:
        people = notice.actor_id, author_of.get(notice.data.get("post_id", 0))
        return notice.user_id not in left and not any((notice.user_id, person) in hidden for person in people)

    return [notice for notice in notices if is_allowed(notice)]


def _without_words(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data without what people wrote or are called: a notice may have been withdrawn because that was erased."""
    return {name: value for name, value in data.items() if name not in WORDS}


def _after_commit(callback: Callable[[], None]) -> None:
    """Robust: a failing hint fails nothing, as sockets also read the database."""
    transaction.on_commit(callback, robust=True)
