"""Looks: the skeleton of Unicode TR39."""

import re
import sys
import unicodedata

import pytest

from feeds.text.looks import MOST_GROWTH, TABLE, looks_of_slug, looks_of_username, skeleton
from feeds.text.usernames import NAME_CHARACTER


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        ("anna", {"anna"}),
        ("Ian", {"lan", "ian"}),
        ("Tom_10", {"torn_lo"}),
        ("сосо", {"coco"}),
        ("АННА", {"ahha"}),
        ("анна", {"ahha"}),
        ("José", {"jose\u0301"}),
        ("٥١", {"ol"}),
    ],
)
def test_a_username_looks_like_its_skeleton_as_written_and_in_lower_case(name: str, looks: set[str]) -> None:
    assert looks_of_username(name) == looks


def test_a_slug_is_made_of_words_in_which_rn_is_no_m() -> None:
    assert looks_of_slug("modern").isdisjoint(looks_of_slug("modem"))
    assert looks_of_slug("gо1ang-m") == looks_of_slug("golang-m")


def test_the_table_is_the_one_that_its_licence_and_version_name() -> None:
    text = TABLE.read_text(encoding="utf-8")
    assert "# Version: 17.0.0" in text
    assert "UNICODE LICENSE V3" in text


def test_no_character_of_a_name_makes_a_look_longer_than_the_column() -> None:
    allowed = re.compile(NAME_CHARACTER)
    characters = (chr(code) for code in range(sys.maxunicode) if not 0xD800 <= code <= 0xDFFF)
    stored = [char for char in characters if allowed.fullmatch(char) and unicodedata.is_normalized("NFKC", char)]
    assert max(len(skeleton(char)) for char in stored) <= MOST_GROWTH
