"""Planted: where a text stands in the database, in whatever table and column."""

from __future__ import annotations

from django.db import connection

#: A column as text that a pattern can be looked for in: bytes as Latin-1, everything else as the database writes it.
_POSTGRESQL = """
    SELECT table_name, column_name, data_type FROM information_schema.columns
    JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
        AND NOT (SELECT relispartition FROM pg_class WHERE oid = format('%I.%I', table_schema, table_name)::regclass)
    ORDER BY 1, 2
"""


def found_in_database(text: str) -> list[tuple[str, int]]:
    """The columns that hold the text, in whatever case, as "table.column", each with the number of its rows."""
    found = []
    for table, column, as_text in columns():
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT count(*) FROM {connection.ops.quote_name(table)} WHERE lower({as_text}) LIKE %s",
                [f"%{text.lower()}%"],
            )
            (rows,) = cursor.fetchone()
        if rows:
            found.append((f"{table}.{column}", rows))
    return found


def columns() -> list[tuple[str, str, str]]:
    """Every column of every table by the database's own catalogue: table, column, and the column as text in SQL."""
    quoted = connection.ops.quote_name
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRESQL)
            return [
                (
                    table,
                    column,
                    f"encode({quoted(column)}, 'escape')" if kind == "bytea" else f"{quoted(column)}::text",
                )
                for table, column, kind in cursor.fetchall()
            ]
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        tables = [name for (name,) in cursor.fetchall()]
        found = []
        for table in tables:
            cursor.execute(f"PRAGMA table_xinfo({quoted(table)})")
            found += [(table, row[1], f"CAST({quoted(row[1])} AS TEXT)") for row in cursor.fetchall()]
        return found
