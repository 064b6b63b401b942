"""Cleaning: what is stored shows something, stays on its line, and keeps its direction to itself."""

import pytest

from feeds.errors import InvalidError
from feeds.text.cleaning import clean_line, clean_text
from feeds.text.visible import MAX_MARKS, has_towers, shows_something

INVISIBLE = {
    "zero-width space": "\u200b",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "Hangul filler": "\u3164",
    "half-width Hangul filler": "\uffa0",
    "Hangul choseong filler": "\u115f",
    "Khmer inherent vowel": "\u17b4",
    "braille blank": "\u2800",
    "soft hyphen": "\u00ad",
    "left-to-right mark": "\u200e",
    "right-to-left override": "\u202e",
    "joiners": "\u200d\u200c",
    "combining grapheme joiner": "\u034f",
    "marks alone": "\u0301\u0302",
    "enclosing mark": "\u20dd",
    "Mongolian selector": "\u180b",
    "variation selector": "\ufe0f\U000e0100",
    "tags": "\U000e0061\U000e007f",
    "escape": "\x1b",
    "delete": "\x7f",
    "C1 control": "\x9b",
    "object replacement": "\ufffc",
    "line separator": "\u2028",
    "ideographic space": "\u3000",
    "several": "\u200b \u2060\u3164",
}


def line(text: str, **options) -> str:
    return clean_line(text, field="title", max_length=300, **options)


def text(value: str, **options) -> str:
    return clean_text(value, field="body", max_length=300, **options)


@pytest.mark.parametrize("value", INVISIBLE.values(), ids=INVISIBLE)
@pytest.mark.parametrize("clean", [line, text])
def test_what_shows_nothing_is_refused(value, clean):
    with pytest.raises(InvalidError) as refusal:
        clean(value)
    assert refusal.value.message in (
        "This must not be empty.",
        "This has only characters that nobody can see. Write something visible.",
    )


@pytest.mark.parametrize("value", INVISIBLE.values(), ids=INVISIBLE)
def test_a_text_that_may_be_empty_is_empty_if_it_shows_nothing(value):
    assert text(value, blank=True) == ""


@pytest.mark.parametrize(
    "value",
    [
        "a", "1", "?", "…", "—", "字", "あ", "한", "ا", "ไ", "้า", "👨‍👩‍👧‍👦", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣", "🇨🇳", "می‌خواهم",
        "שלום\u200f!", "\U0001fae8", "\ue000",
    ],
)  # fmt: skip
def test_what_shows_something_is_kept_as_it_is(value):
    assert shows_something(value)
    assert line(value) == value
    assert text(value) == value


def test_controls_go_and_changes_of_direction_go_from_a_line():
    assert line("a\x1b[31m b\x7f\x9bc\u202ed\u2066e") == "a[31m bcde"
    assert text("a\x1b\tb\x0c\nc\x7f") == "a\tb\nc"
    assert text("a \u202eb") == "a \u202eb"


@pytest.mark.parametrize(
    "blank", ["\u3164", "\uffa0", "\u115f", "\u1160", "\u115f\u1160", "\u2800", "\u2800\u2800", "\ufffc"]
)
def test_a_line_has_no_letters_that_nobody_can_see(blank):
    assert line(f"{blank}.") == line(f".{blank}") == "."
    assert line(f"a{blank}b") == "a b"
    assert line(f"{blank}字 {blank} 字{blank}") == "字 字"
    assert text(f"a{blank}b") == f"a{blank}b"


@pytest.mark.parametrize("value", ["⠓⠑⠇⠇⠕⠀⠺⠕⠗⠇⠙", "⠓⠀⠀⠺", "\u1112\u1160", "\u115f\u119e\u11ab", "\u1100\u1160\u11a8"])
def test_blanks_that_a_script_needs_stay(value):
    assert line(value) == value


def test_a_line_is_stored_in_one_spelling():
    assert line("cafe\u0301") == "café"


@pytest.mark.parametrize(
    "value",
    [
        "ผู้ที่",
        "ཧཱུྃ",
        "Tiếng Việt",
        "בְּרֵאשִׁ֖ית",
        "व्यक्तित्व",
        "မြန်မာ",
        "ស្ត្រី",
        "e\u0323\u0302\u0301",
        "a" + "\u0301" * MAX_MARKS,
    ],
)
def test_the_marks_of_real_words_are_few_enough(value):
    assert line(value)
    assert text(value)


@pytest.mark.parametrize("mark", ["\u0301", "\u0337", "\u0e47", "\u05b0", "\u20dd", "\u1ab0", "\u0f71"])
def test_a_tower_of_marks_is_refused(mark):
    for clean in (line, text):
        with pytest.raises(InvalidError) as refusal:
            clean("a" + mark * 290)
        assert refusal.value.message == "Use at most 8 accents on one letter."
    assert not has_towers(f"a{mark}" * 40)
