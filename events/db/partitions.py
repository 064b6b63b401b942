"""Partitions: a table of PostgreSQL that is partitioned by the range of a UUIDv7, so by time.

Each has, beside those of time, a default partition, which takes what no other one does; so no row is ever refused. Ids
that lie beyond any UUIDv7 of this century have a partition of their own: the default one is read through, under its
lock, whenever another one is attached.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any, NamedTuple

#: Ids from here on say a time after the year 2100: they are no UUIDv7.
BEYOND = uuid.UUID(int=4_102_444_800_000 << 80)
#: How long a change waits for a lock: whoever needs the table queues behind it meanwhile.
LOCK_TIMEOUT = "200ms"

_BOUNDS = re.compile(r"FOR VALUES FROM \('([0-9a-f-]{36})'\) TO \('([0-9a-f-]{36})'\)")
_NAMES = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(%s)"
_PARTITIONS = """
    SELECT c.oid::regclass::text, pg_get_expr(c.relpartbound, c.oid), greatest(c.reltuples, 0)::bigint,
        pg_total_relation_size(c.oid)
    FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid WHERE inhparent = to_regclass(%s) ORDER BY 1
"""


class Partition(NamedTuple):
    """A partition. name: quoted where SQL needs it. low, high: its ids are `low <= id < high`; None, None: what no
    other one takes. rows: about how many. size: bytes, with its indexes."""

    name: str
    low: uuid.UUID | None
    high: uuid.UUID | None
    rows: int
    size: int


def is_partitioned(connection: Any, table: str) -> bool:
    """Whether a table is partitioned. table: its quoted name."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)", [table])
        return bool(cursor.fetchone() == (True,))


def partition_names(connection: Any, table: str) -> list[str]:
    """The names of all partitions of a table, quoted where SQL needs it; none if it is not partitioned."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(_NAMES, [table])
        return [name for (name,) in cursor.fetchall()]


def all_partitions(connection: Any, table: str) -> list[Partition]:
    """Every partition of a table, those of time first and in their order; none if it is not partitioned."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS, [table])
        # One that is dropped meanwhile has no bound any more.
        found = [Partition(name, *_bounds(bound), rows, size) for name, bound, rows, size in cursor.fetchall() if bound]
    return sorted(found, key=lambda one: (one.low is None, one.low))


def partitions_of_time(connection: Any, table: str) -> list[Partition]:
    """The partitions of a table that have both bounds, in the order of time."""
    return [one for one in all_partitions(connection, table) if one.low is not None]


def _bounds(written: str) -> tuple[uuid.UUID | None, uuid.UUID | None]:
    found = _BOUNDS.fullmatch(written)
    return (uuid.UUID(found[1]), uuid.UUID(found[2])) if found else (None, None)


def add_default(connection: Any, parent: str, *, table: str) -> None:
    """Make the two partitions for what is not of a time. parent: the quoted name of the partitioned table. table: the
    name, not quoted, from which the names of its partitions are made."""
    quoted = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {quoted(f'{table}_default')} PARTITION OF {parent} DEFAULT")
        cursor.execute(
            f"CREATE TABLE {quoted(f'{table}_beyond')} PARTITION OF {parent} FOR VALUES FROM ('{BEYOND}') TO (MAXVALUE)"
        )


def add_partition(connection: Any, parent: str, *, table: str, key: str, low: uuid.UUID, high: uuid.UUID) -> None:
    """Make a partition beside readers and writers, in the caller's transaction. Names as in `add_default`; key: the
    quoted column.

    What the default partition has of its range, from hosts with a clock that is ahead, is moved there.

    Raises OperationalError if the lock of the default partition is not to be had within LOCK_TIMEOUT.
    """
    quoted = connection.ops.quote_name
    name, default = quoted(f"{table}_p{_written(low)}"), quoted(f"{table}_default")
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
        cursor.execute(f"CREATE TABLE {name} (LIKE {parent} INCLUDING ALL EXCLUDING IDENTITY)")
        cursor.execute(f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE")
        cursor.execute(
            f"WITH moved AS (DELETE FROM {default} WHERE {key} >= %s AND {key} < %s RETURNING *)"
            f" INSERT INTO {name} SELECT * FROM moved",
            [low, high],
        )
        cursor.execute(f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')")


def _written(low: uuid.UUID) -> str:
    """The day of an id: it is in the name of a partition, of which none begins on the same day as another one."""
    return f"{dt.datetime.fromtimestamp((low.int >> 80) / 1000, dt.UTC):%Y%m%d}"


def lock(connection: Any, *tables: str) -> None:
    """Lock tables for all others until the end of the caller's transaction.

    Raises OperationalError if that is not to be had within LOCK_TIMEOUT.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")


def detach(connection: Any, parent: str, partition: str) -> None:
    """Take a partition out of its table, which is locked: it becomes a table by itself."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {parent} DETACH PARTITION {partition}")
