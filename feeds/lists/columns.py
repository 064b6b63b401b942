"""Column: the numbers of a column in one text, for thousands of rows of which only a few are shown.

A row of its own for each would cost several times as much: Python's garbage collector looks at every one of them.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Aggregate, TextField


class Column(Aggregate):
    """Aggregates whole numbers to a text for `numbers`. All columns of one query have the same order of rows."""

    function = "group_concat"
    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        ours = self.copy()
        ours.template = "string_agg((%(expressions)s)::text, ',')"
        return ours.as_sql(compiler, connection, **context)


def numbers(column: str | None) -> list[int]:
    """The numbers of a Column; none for None, which is that of no rows."""
    return list(map(int, column.split(","))) if column else []
