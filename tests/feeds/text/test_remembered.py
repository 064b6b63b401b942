"""Remembered: results are kept within a number of bytes, those asked for last the longest."""

from __future__ import annotations

import sys

from feeds.text.parsed import REMEMBERED_BYTES, parsed, remembered
from feeds.text.remembered import Remembered


def test_what_was_not_asked_for_longest_is_forgotten_when_the_room_is_full() -> None:
    kept: Remembered[int] = Remembered(max_bytes=10)
    for number in range(3):
        kept.keep(str(number), number, size=3)
    assert kept.get("0") == 0
    kept.keep("3", 3, size=4)
    assert {key: kept.get(key) for key in "0123"} == {"0": 0, "1": None, "2": 2, "3": 3}
    assert kept.held == 10


def test_a_result_kept_again_counts_once_and_one_too_large_is_not_kept() -> None:
    kept: Remembered[int] = Remembered(max_bytes=10)
    kept.keep("a", 1, size=6)
    kept.keep("a", 2, size=7)
    kept.keep("b", 3, size=11)
    assert (kept.get("a"), kept.get("b"), kept.held) == (2, None, 7)
    kept.clear()
    assert (kept.get("a"), kept.held) == (None, 0)


def test_what_is_made_of_texts_is_bounded_in_bytes_whatever_the_texts_are() -> None:
    remembered.clear()
    for number in range(100):
        made = parsed(f"{number} 𝄞 " + "&" * 39_000)
        assert sys.getsizeof(made.html) + sys.getsizeof(made.words) <= remembered.held <= REMEMBERED_BYTES
    assert remembered.held > REMEMBERED_BYTES * 0.9
