"""Dialect: what one statement is given."""

from __future__ import annotations

from events.db.dialect import CHARACTERS_PER_STATEMENT, parts

FULL = CHARACTERS_PER_STATEMENT


def test_a_statement_is_bounded_in_rows_and_in_characters() -> None:
    for sizes, expected in (
        ([], []),
        ([1] * 7, [[1] * 3, [1] * 3, [1]]),
        ([1] * 6, [[1] * 3, [1] * 3]),
        ([FULL, 1, FULL - 1, 1], [[FULL], [1, FULL - 1], [1]]),
        ([2 * FULL, 3 * FULL], [[2 * FULL], [3 * FULL]]),
    ):
        assert list(parts(sizes, rows_at_most=3, size=int)) == expected
