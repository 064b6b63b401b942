"""Stream state: what sockets read from the database, for many of them with a few statements."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from feeds.models import User
from notifications.live.outgoing import note
from notifications.models import Notification, Stream
from notifications.notices.subjects import refresh
from notifications.push.hints import as_dict

#: Changed notices that are sent at once; a client that missed more than this reloads the page instead.
BACKFILL = 200


class Since(NamedTuple):
    """What a socket asks for: the notices changed after a number, worded in its language; None: no notices."""

    user_id: int
    after: int | None
    language: str


@dataclass(frozen=True, kw_only=True)
class StreamState:
    """The state of a user's stream.

    active: the user is not banned. notes: the frames of the notices changed after the number asked for. too_many: more
    than BACKFILL notices changed.
    """

    seq: int = 0
    unread: int = 0
    read_upto: int = 0
    reads: int = 0
    epoch: uuid.UUID | None = None
    active: bool = True
    notes: Sequence[str] = field(default=())
    too_many: bool = False


def read_changes(asked: Sequence[Since]) -> dict[Since, StreamState]:
    """What was asked for, by the question.

    The streams are read before the notices. A notice that changes in between has a higher number than its stream's: it
    is left out here, and sent with that number.
    """
    streams = _streams({one.user_id for one in asked})
    rows = _changed(asked, streams)
    refresh([row for found in rows.values() for row in found[:BACKFILL]])
    states = {}
    for one in asked:
        stream, found = streams[one.user_id], rows[one.user_id, one.after]
        too_many = len(found) > BACKFILL
        notes = () if too_many else tuple(_note(row, one.language, stream) for row in found)
        states[one] = StreamState(
            seq=stream.seq,
            unread=stream.unread,
            read_upto=stream.read_upto,
            reads=stream.reads,
            epoch=stream.epoch,
            notes=notes,
            too_many=too_many,
        )
    return states


def read_states(user_ids: Iterable[int]) -> dict[int, StreamState]:
    """The states of these users' streams by user id; a user who no longer exists is left out."""
    rows = User.objects.filter(pk__in=list(user_ids)).values_list(
        "pk", "is_active", "stream__seq", "stream__unread", "stream__read_upto", "stream__reads", "stream__epoch"
    )
    return {
        pk: StreamState(
            active=active, seq=seq or 0, unread=unread or 0, read_upto=read_upto or 0, reads=reads or 0, epoch=epoch
        )
        for pk, active, seq, unread, read_upto, reads, epoch in rows
    }


def _streams(user_ids: set[int]) -> dict[int, Stream]:
    """The streams of these users, made where missing."""
    streams = Stream.objects.in_bulk(user_ids)
    if missing := user_ids - streams.keys():
        Stream.objects.bulk_create([Stream(user_id=user_id) for user_id in sorted(missing)], ignore_conflicts=True)
        streams |= Stream.objects.in_bulk(missing)
    return streams


def _changed(asked: Iterable[Since], streams: Mapping[int, Stream]) -> dict[tuple[int, int | None], list[Notification]]:
    """The first notices, BACKFILL and one, by user and the number that they changed after."""
    rows: dict[tuple[int, int | None], list[Notification]] = defaultdict(list)
    ranges = {(one.user_id, one.after, streams[one.user_id].seq) for one in asked if one.after is not None}
    behind = {one for one in ranges if one[1] < one[2]}
    far = {one for one in behind if one[2] - one[1] > BACKFILL}
    for user_id, after, upto in far:
        changed = Notification.objects.changed([(user_id, after, upto)])
        rows[user_id, after] = list(changed.order_by("seq")[: BACKFILL + 1])
    if near := behind - far:
        found: dict[int, list[Notification]] = defaultdict(list)
        for row in Notification.objects.changed(near).order_by("user_id", "seq"):
            found[row.user_id].append(row)
        for user_id, after, upto in near:
            rows[user_id, after] = [row for row in found[user_id] if after < row.seq <= upto]
    return rows


def _note(row: Notification, language: str, stream: Stream) -> str:
    return note(as_dict(row), seq=row.seq, unread=stream.unread, language=language)
