"""Direction: text that is written from right to left keeps its direction to itself."""

from __future__ import annotations

import re
import unicodedata

#: Letters of the scripts that are written from right to left, and the characters that change the direction.
RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff\u200f\u202a-\u202e\u2066-\u2069]"
)
#: Begin and end of a part whose direction is its own.
ISOLATE, END = "\u2068", "\u2069"


def has_direction(text: str) -> bool:
    """Whether something in it is written from right to left, or changes the direction."""
    return not text.isascii() and RIGHT_TO_LEFT.search(text) is not None


def first_direction(text: str) -> str:
    """The direction of the first letter that has one: "rtl" or "ltr"; empty if none has."""
    for char in text:
        match unicodedata.bidirectional(char):
            case "R" | "AL":
                return "rtl"
            case "L":
                return "ltr"
    return ""


def isolated(text: str) -> str:
    """The text as a part of a sentence: its direction changes nothing around it. For plain text; HTML has <bdi>."""
    return f"{ISOLATE}{text}{END}" if has_direction(text) else text
