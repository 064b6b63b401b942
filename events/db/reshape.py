"""Reshape: a table of PostgreSQL becomes a partitioned one, or a plain one again, while others read and write it.

1. `begin` makes the new table beside it, and a trigger that repeats there what is written here.
2. `copy` copies the rows there are, a chunk per transaction. How far it is stands in the comment of the new table, so
   that it may end at any point and go on later.
3. `swap` gives the new table the name, the indexes' names and the triggers, and drops the old one. For that moment it
   has the table's strongest lock.

The rows, the columns and what may be asked stay the same. One who has sent a statement before the swap gets an answer
from the old table; a prepared one is planned anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from .commit import committed
from .deadlocks import retry_deadlocks
from .partitions import LOCK_TIMEOUT, add_default

ROWS_PER_CHUNK = 5_000

_INDEXES = """
    SELECT c.oid, c.relname, pg_get_indexdef(c.oid), con.contype, coalesce(pg_get_constraintdef(con.oid), '')
    FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid LEFT JOIN pg_constraint AS con ON con.conindid = c.oid
        AND con.conrelid = indrelid
    WHERE indrelid = %s::regclass ORDER BY c.oid
"""
_COLUMNS = """
    SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_TRIGGERS = """
    SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgname <> %s
"""
_OWNER = "SELECT relowner::regrole::text FROM pg_class WHERE oid = %s::regclass"
_RIGHTS = """
    SELECT string_agg(privilege_type, ', '), CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
        is_grantable
    FROM pg_class, aclexplode(relacl) WHERE oid = %s::regclass GROUP BY grantee, is_grantable
"""


class _Index(NamedTuple):
    """An index of the old table; kind and constraint: of the constraint that it keeps, if it does."""

    oid: int
    name: str
    definition: str
    kind: str | None
    constraint: str


class Reshaping:
    """One table on its way.

    table, column, by: not quoted; column: the primary key; by: the column by whose range it is partitioned. The table
    has one unique key beside the primary one, and `by` is in it.
    """

    def __init__(self, connection: Any, table: str, *, column: str, by: str) -> None:
        self._connection = connection
        self._quoted = connection.ops.quote_name
        self._name, self._column_name = table, column
        self.new_name = f"{table}_new"
        self._table, self._new = self._quoted(table), self._quoted(self.new_name)
        self._mirror = self._quoted(f"{table}_mirror")
        self._column, self._by = self._quoted(column), self._quoted(by)

    def is_begun(self) -> bool:
        """Whether the new table is there."""
        return bool(self._value("SELECT to_regclass(%s) IS NOT NULL", self._new))

    def begin(self, *, partitioned: bool) -> None:
        """Make the new table and the trigger, in the caller's transaction. The partitions of time are the caller's to
        make, in the same transaction.

        Raises OperationalError if a lock is not to be had within LOCK_TIMEOUT.
        """
        self._limit_waiting()
        self._execute(f"LOCK TABLE {self._table} IN SHARE ROW EXCLUSIVE MODE")
        by = f" PARTITION BY RANGE ({self._by})" if partitioned else ""
        self._execute(f"CREATE TABLE {self._new} (LIKE {self._table} INCLUDING ALL EXCLUDING INDEXES){by}")
        if partitioned:
            self._execute(f"CREATE INDEX {self._quoted(self._index_of_column)} ON {self._new} ({self._column})")
            add_default(self._connection, self._new, table=self._name)
        else:
            self._execute(f"ALTER TABLE {self._new} ADD PRIMARY KEY ({self._column})")
        for index in self._indexes():
            name = self._quoted(self._name_meanwhile(index))
            if index.constraint:
                self._execute(f"ALTER TABLE {self._new} ADD CONSTRAINT {name} {index.constraint}")
            else:
                self._execute(f"CREATE INDEX {name} ON {self._new} USING {index.definition.partition(' USING ')[2]}")
        self._give_rights()
        self._begin_mirror()
        self._note(0, self._value(f"SELECT coalesce(max({self._column}), 0) FROM {self._table}"))

    def copy(self, advance: Callable[[int], None] | None = None, *, rate: int | None = None) -> None:
        """Copy what is not copied yet. advance: called with the number of rows since the last call. rate: rows per
        second, at most."""
        while (number := retry_deadlocks(self._copy_chunk)) is not None:
            if advance:
                advance(number)
            if rate:
                time.sleep(number / rate)

    def _copy_chunk(self) -> int | None:
        """Copy a chunk, in a transaction; returns the number of its rows, None after the last one.

        Whoever deletes such a row waits, or has deleted it before: it does not come back. Of one who changes it, the
        trigger writes what holds, before or after.
        """
        with committed(using=self._connection.alias):
            done, last = self._noted()
            if done >= last:
                return None
            ((number, highest),) = self._rows(
                f"WITH chunk AS MATERIALIZED (SELECT * FROM {self._table} WHERE {self._column} > %s"
                f" AND {self._column} <= %s ORDER BY {self._column} LIMIT {ROWS_PER_CHUNK} FOR KEY SHARE),"
                f" copied AS (INSERT INTO {self._new} SELECT * FROM chunk ON CONFLICT DO NOTHING)"
                f" SELECT count(*), max({self._column}) FROM chunk",
                done,
                last,
            )
            self._note(highest or last, last)
            return int(number)

    def analyze(self) -> None:
        """Let the planner know the new table before it is asked."""
        self._execute(f"ANALYZE {self._new}")

    def swap(self) -> None:
        """Let the new table take the place of the old one, in the caller's transaction.

        Raises OperationalError if the lock of the table is not to be had within LOCK_TIMEOUT, and another DatabaseError
        if something refers to the table.
        """
        self._limit_waiting()
        self._execute(f"LOCK TABLE {self._table} IN ACCESS EXCLUSIVE MODE")
        counter, new_counter = self._counter(self._table), self._counter(self._new)
        self._execute(
            "SELECT setval(%s::regclass, pg_sequence_last_value(%s::regclass))"
            " WHERE pg_sequence_last_value(%s::regclass) IS NOT NULL",
            new_counter,
            counter,
            counter,
        )
        triggers = [text for (text,) in self._rows(_TRIGGERS, self._table, f"{self._name}_mirror")]
        indexes = self._indexes()
        name_of_counter = self._value("SELECT relname FROM pg_class WHERE oid = %s::regclass", counter)
        self._execute(f"DROP TABLE {self._table}")
        self._execute(f"DROP FUNCTION {self._mirror}()")
        self._execute(f"COMMENT ON TABLE {self._new} IS NULL")
        self._execute(f"ALTER TABLE {self._new} RENAME TO {self._table}")
        self._execute(f"ALTER SEQUENCE {new_counter} RENAME TO {self._quoted(name_of_counter)}")
        for index in indexes:
            self._execute(
                f"ALTER INDEX {self._quoted(self._name_meanwhile(index))} RENAME TO {self._quoted(index.name)}"
            )
        primary = self._quoted(f"{self._name}_pkey")
        self._execute(f"ALTER INDEX IF EXISTS {self._quoted(f'{self.new_name}_pkey')} RENAME TO {primary}")
        for trigger in triggers:
            self._execute(trigger)

    def abandon(self) -> None:
        """Take the new table and the trigger away, in the caller's transaction, if they are there.

        Raises OperationalError if the lock of the table is not to be had within LOCK_TIMEOUT.
        """
        self._limit_waiting()
        self._execute(f"DROP TRIGGER IF EXISTS {self._mirror} ON {self._table}")
        self._execute(f"DROP FUNCTION IF EXISTS {self._mirror}()")
        self._execute(f"DROP TABLE IF EXISTS {self._new}")

    @property
    def _index_of_column(self) -> str:
        """The index that stands for the primary key: a partitioned table cannot have it as such."""
        return f"{self._name}_{self._column_name}"

    def _indexes(self) -> list[_Index]:
        """The indexes of the table but that of its primary key."""
        found = (_Index(*row) for row in self._rows(_INDEXES, self._table))
        return [one for one in found if one.kind != "p" and one.name != self._index_of_column]

    def _name_meanwhile(self, index: _Index) -> str:
        return f"{self.new_name}_{index.oid}"

    def _begin_mirror(self) -> None:
        columns = [self._quoted(name) for (name,) in self._rows(_COLUMNS, self._table)]
        (key,) = (index.constraint.removeprefix("UNIQUE ") for index in self._indexes() if index.constraint)
        self._execute(f"""
            CREATE FUNCTION {self._mirror}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF TG_OP = 'DELETE' THEN
                    DELETE FROM {self._new} WHERE {self._by} = OLD.{self._by} AND {self._column} = OLD.{self._column};
                ELSE
                    INSERT INTO {self._new} ({", ".join(columns)}) VALUES ({", ".join(f"NEW.{one}" for one in columns)})
                    ON CONFLICT {key} DO UPDATE SET {", ".join(f"{one} = excluded.{one}" for one in columns)};
                END IF;
                RETURN NULL;
            END $$
        """)
        self._execute(
            f"CREATE TRIGGER {self._mirror} AFTER INSERT OR UPDATE OR DELETE ON {self._table}"
            f" FOR EACH ROW EXECUTE FUNCTION {self._mirror}()"
        )

    def _give_rights(self) -> None:
        """Whoever may read and write the table may do so with the new one."""
        self._execute(f"ALTER TABLE {self._new} OWNER TO {self._value(_OWNER, self._table)}")
        for rights, role, may_pass_on in self._rows(_RIGHTS, self._table):
            option = " WITH GRANT OPTION" if may_pass_on else ""
            self._execute(f"GRANT {rights} ON {self._new} TO {role}{option}")

    def _counter(self, table: str) -> str:
        return str(self._value("SELECT pg_get_serial_sequence(%s, %s)", table, self._column_name))

    def _note(self, done: int, last: int) -> None:
        """Write down how far the copy is."""
        self._execute(f"COMMENT ON TABLE {self._new} IS '{json.dumps([done, last])}'")

    def _noted(self) -> tuple[int, int]:
        done, last = json.loads(self._value("SELECT obj_description(%s::regclass, 'pg_class')", self._new))
        return done, last

    def _limit_waiting(self) -> None:
        self._execute("SELECT set_config('lock_timeout', %s, true)", LOCK_TIMEOUT)

    def _execute(self, statement: str, *values: Any) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)

    def _rows(self, statement: str, *values: Any) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())

    def _value(self, statement: str, *values: Any) -> Any:
        ((value,),) = self._rows(statement, *values)
        return value
