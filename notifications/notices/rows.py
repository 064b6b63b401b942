"""Rows: lock streams, find what new notices have to respect, and write both tables.

On PostgreSQL each of the three is one statement, however many notices there are.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.models.expressions import RawSQL

from events.db import fetch
from feeds.lists.visibility import hidden_pairs, pairs_of_hidden
from feeds.models import Post, User
from notifications.models import Notification, Stream
from notifications.notices.notice import Notice

#: The columns of a notice that may change.
MUTABLE = ["seq", "kind", "data", "post_id", "comment_id", "updated_at", "read_at", "withdrawn_at"]


@dataclass(slots=True)
class LockedStream:
    """A locked stream, with the fields of `Stream`. Thousands of them take a third of the time of as many models."""

    user_id: int
    seq: int
    unread: int
    read_upto: int
    reads: int


@dataclass(slots=True)
class NewRow:
    """A notice that is not yet in the table; `pk` is set when it is. `data` as it is stored."""

    user_id: int
    seq: int
    kind: str
    group_key: str
    data: Mapping[str, Any]
    created_at: dt.datetime
    withdrawn_at: dt.datetime | None
    pk: int = 0
    read: bool = False


class Found(NamedTuple):
    """What new notices have to respect.

    left: those of the users who left for good. hidden: pairs of a user and a person who is hidden from the user.
    author_of: the authors of the posts, by post id. rows: the notices that exist, by user and key.
    """

    left: Collection[int]
    hidden: Collection[tuple[int, int]]
    author_of: Mapping[int, int]
    rows: Mapping[tuple[int, str], Notification]


def lock_streams(user_ids: Iterable[int]) -> dict[int, LockedStream]:
    """The streams of these users by user id, created where missing, locked until the transaction ends.

    Locks are taken in the order of the user ids, so that no deadlock arises.
    """
    connection = _connection()
    if connection.vendor != "postgresql":
        streams = Stream.objects.lock(user_ids).values()
        return {one.pk: LockedStream(one.pk, one.seq, one.unread, one.read_upto, one.reads) for one in streams}
    ids = _array(wanted := set(user_ids))
    rows = fetch(connection, _LOCK, [ids, ids, str(len(wanted))])
    if len(rows) < len(wanted):
        Stream.objects.add_missing(wanted)
        rows = fetch(connection, _LOCK, [ids, ids, "0"])
    return {row[0]: LockedStream(*row) for row in rows}


def find(notices: Sequence[Notice]) -> Found:
    """What these notices have to respect, read after their streams were locked."""
    users = {notice.user_id for notice in notices}
    posts = {notice.data["post_id"] for notice in notices if "post_id" in notice.data}
    actors = {notice.actor_id for notice in notices if notice.actor_id is not None}
    connection = _connection()
    if connection.vendor != "postgresql":
        author_of = dict(Post.objects.filter(pk__in=posts).values_list("pk", "author_id")) if posts else {}
        return Found(
            set(User.objects.gone().filter(pk__in=users).values_list("pk", flat=True)),
            hidden_pairs(users, {*actors, *author_of.values()}),
            author_of,
            existing_rows(notices),
        )
    statement, of_gone = _find_statement()
    wanted = _array(notice.user_id for notice in notices), _array_of_texts(notice.key for notice in notices)
    given = [_array(users), _array(posts), _array(actors), *of_gone, *wanted]
    rows = fetch(connection, statement, given)
    left, hidden, author_of = rows[0][:3]
    return Found(
        set(left),
        {(user_id, person_id) for user_id, person_id in hidden},
        dict(author_of),
        {(row.user_id, row.group_key): row for row in _notices(connection.alias, rows)},
    )


def existing_rows(notices: Iterable[Notice]) -> dict[tuple[int, str], Notification]:
    """The notices that exist, by user and key."""
    wanted = {(notice.user_id, notice.key) for notice in notices}
    users, keys = {user_id for user_id, _ in wanted}, {key for _, key in wanted}
    rows = Notification.objects.filter(user_id__in=users, group_key__in=keys) if wanted else ()
    return {(row.user_id, row.group_key): row for row in rows}


def write_rows(
    new: Sequence[NewRow], changed: Sequence[Notification], steps: Mapping[int, tuple[int, int]], now: dt.datetime
) -> None:
    """Add the new rows, store the changed ones, and advance the streams.

    steps: by user id, what is added to `seq` and to `unread`. now: the time of the change.
    """
    # An upsert of existing rows: bulk_update would send a CASE per row and column, seconds for thousands of rows.
    if changed:
        Notification.objects.bulk_create(changed, update_conflicts=True, unique_fields=["id"], update_fields=MUTABLE)
    connection = _connection()
    if connection.vendor != "postgresql":
        models = [_model(row) for row in new]
        Notification.objects.bulk_create(models)
        for row, model in zip(new, models, strict=True):
            row.pk = model.pk
        Stream.objects.advance(steps)
        return
    places: dict[tuple[Any, ...], int] = {}
    contents: list[tuple[Any, ...]] = []
    of_row = []
    for row in new:
        withdrawn = row.withdrawn_at is not None
        content = row.kind, row.group_key, id(row.data), withdrawn
        if (place := places.get(content)) is None:
            places[content] = place = len(contents) + 1
            about = row.data.get("post_id"), row.data.get("comment_id")
            contents.append((row.kind, row.group_key, row.data, *about, withdrawn, place))
        of_row.append(place)
    given = [
        *(now.isoformat(), _array(row.user_id for row in new), _array(row.seq for row in new), _array(of_row)),
        json.dumps([dict(zip(_CONTENT, content, strict=True)) for content in contents]),
        *(_array(steps), _array(seq for seq, _ in steps.values()), _array(unread for _, unread in steps.values())),
    ]
    ids = {(user_id, seq): pk for pk, user_id, seq in fetch(connection, _WRITE, given)}
    for row in new:
        row.pk = ids[row.user_id, row.seq]


def _model(row: NewRow) -> Notification:
    return Notification(
        user_id=row.user_id,
        seq=row.seq,
        kind=row.kind,
        group_key=row.group_key,
        data=row.data,
        post_id=row.data.get("post_id"),
        comment_id=row.data.get("comment_id"),
        created_at=row.created_at,
        updated_at=row.created_at,
        withdrawn_at=row.withdrawn_at,
    )


def _connection() -> Any:
    return connections[router.db_for_write(Notification)]


# On PostgreSQL
# ----------------------------------------------------------------------------------------------------------

STREAMS, NOTICES, POSTS = (f'"{model._meta.db_table}"' for model in (Stream, Notification, Post))
_NOTICE = [field.attname for field in Notification._meta.concrete_fields]
_DATA = _NOTICE.index("data")

#: Locks nothing and returns nothing if a stream is missing: one that is inserted while others are locked could lead to
#: a deadlock.
_LOCK = f"""
    SELECT user_id, seq, unread, read_upto, reads FROM {STREAMS} WHERE user_id = ANY(%s::bigint[])
    AND (SELECT count(*) FROM {STREAMS} WHERE user_id = ANY(%s::bigint[])) >= %s
    ORDER BY user_id FOR NO KEY UPDATE
"""
#: 1. viewers, authors, people: the users, the posts with their authors, and everybody who may be hidden.
#: 2. The gone users, the hidden pairs and the authors, each as an array, beside each notice that exists.
_FIND = f"""
    WITH viewers AS (SELECT unnest(%s::bigint[]) AS id),
    authors AS (SELECT id, author_id FROM {POSTS} WHERE id = ANY(%s::bigint[])),
    people AS (SELECT unnest(%s::bigint[]) AS id UNION SELECT author_id FROM authors)
    SELECT facts.*, {", ".join(f"notice.{column}" for column in _NOTICE)} FROM (
        SELECT ARRAY({{gone}}), ARRAY(SELECT ARRAY[viewer, person] FROM ({{hidden}}) AS hidden (viewer, person)),
            ARRAY(SELECT ARRAY[id, author_id] FROM authors)
    ) AS facts LEFT JOIN (
        unnest(%s::bigint[], %s::text[]) AS wanted (user_id, group_key) JOIN {NOTICES} AS notice
        ON notice.user_id = wanted.user_id AND notice.group_key = wanted.group_key
    ) ON true
"""
#: What several rows have alike is sent once.
_CONTENT = ["kind", "group_key", "data", "post_id", "comment_id", "withdrawn", "place"]
_WRITE = f"""
    WITH given AS (SELECT %s::timestamptz AS now),
    written AS (
        INSERT INTO {NOTICES} (
            user_id, seq, kind, group_key, data, post_id, comment_id, withdrawn_at, created_at, updated_at
        )
        SELECT user_id, seq, kind, group_key, data, post_id, comment_id, CASE WHEN withdrawn THEN now END, now, now
        FROM given, unnest(%s::bigint[], %s::bigint[], %s::int[]) AS row (user_id, seq, place)
        JOIN jsonb_to_recordset(%s::jsonb) AS content (
            kind text, group_key text, data jsonb, post_id bigint, comment_id bigint, withdrawn bool, place int
        ) USING (place)
        RETURNING id, user_id, seq
    ), advanced AS (
        UPDATE {STREAMS} AS stream SET seq = stream.seq + step.seq, unread = stream.unread + step.unread
        FROM unnest(%s::bigint[], %s::bigint[], %s::int[]) AS step (user_id, seq, unread)
        WHERE stream.user_id = step.user_id
    )
    SELECT id, user_id, seq FROM written
"""


@cache
def _find_statement() -> tuple[str, Sequence[Any]]:
    """The statement and the parameters of its rule who is gone. The rules are those of `feeds`."""
    viewers, people = RawSQL("SELECT id FROM viewers", []), RawSQL("SELECT id FROM people", [])
    gone, of_gone = User.objects.gone().filter(pk__in=viewers).values("pk").query.sql_with_params()
    hidden, none = pairs_of_hidden(viewers, people).query.sql_with_params()
    assert not none
    return _FIND.format(gone=gone, hidden=hidden), of_gone


def _notices(alias: str, rows: Iterable[Sequence[Any]]) -> Iterable[Notification]:
    for row in rows:
        values = list(row[3:])
        if values[0] is not None:
            values[_DATA] = json.loads(values[_DATA])
            yield Notification.from_db(alias, _NOTICE, values)


def _array(numbers: Iterable[int]) -> str:
    """Numbers as a parameter."""
    return "{" + ",".join([str(number) for number in numbers]) + "}"


def _array_of_texts(texts: Iterable[str]) -> str:
    """Texts as a parameter."""
    return "{" + ",".join(['"' + text.replace("\\", r"\\").replace('"', r"\"") + '"' for text in texts]) + "}"
