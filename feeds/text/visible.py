"""Visible: whether a text shows anything, and whether its marks stay on their line."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from feeds.text.classes import character_class

#: Letters and signs that have no visible form, though Unicode counts them among the visible ones.
BLANK = "\u115f\u1160\u17b4\u17b5\u2800\u3164\ufffc\uffa0\U0001d159"
#: Characters without a name that Unicode reserves for invisible ones.
RESERVED = "\u2065\ufff0-\ufff8\U000e0000-\U000e0fff"
NEVER_SHOWN = re.compile(f"[{BLANK}{RESERVED}]")
#: Of the blank ones, those that have a use beside letters of their script: the space of braille, and what stands for a
#: missing part of a Korean syllable.
BRAILLE, JAMO = "\u2801-\u28ff", "\u1100-\u115e\u1161-\u11ff\ua960-\ua97c\ud7b0-\ud7fb"
ALONE = re.compile(
    "[\u17b4\u17b5\u3164\ufffc\uffa0\U0001d159]"
    f"|(?<![\u2800{BRAILLE}])\u2800+(?![{BRAILLE}])"
    f"|(?<![\u115f\u1160{JAMO}])[\u115f\u1160]+(?![{JAMO}])"
)
#: Kinds of characters that show nothing by themselves: spaces, controls, formats, halves of pairs, marks.
SHOW_NOTHING = {"Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Mn", "Mc", "Me"}
#: Marks on one letter. Thai, Tibetan, Vietnamese, Hebrew with accents and vowels need at most 6.
MAX_MARKS = 8
#: Where Unicode has marks.
MARK_RANGES = (range(0x0300, 0x20F1), range(0x2CEF, 0x3100), range(0xA66F, 0xFE30), range(0x101FD, 0x1E94B))


def shows_something(text: str) -> bool:
    """Whether at least one character is visible: a letter, digit, sign or picture, also one unknown to this Python."""
    return any(unicodedata.category(char) not in SHOW_NOTHING and not NEVER_SHOWN.match(char) for char in text)


def without_blanks(text: str) -> str:
    """The text with a space for each letter or sign that has no visible form, but where its script needs it."""
    return text if text.isascii() else ALONE.sub(" ", text)


def has_towers(text: str) -> bool:
    """Whether a letter carries more than MAX_MARKS marks, which would paint over other lines."""
    return not text.isascii() and _towers().search(text) is not None


@cache
def _towers() -> re.Pattern[str]:
    codes = (code for codes in MARK_RANGES for code in codes)
    mark = character_class(code for code in codes if unicodedata.category(chr(code)) in ("Mn", "Me"))
    # No mark is a letter or digit. To ask this first is 40 times as fast in a text of letters.
    return re.compile(rf"[^\w\0-\u02ff](?<={mark}){mark}{{{MAX_MARKS}}}")
