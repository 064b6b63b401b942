"""Folding: the one spelling under which words are found, with accents or without, alike on every database."""

from __future__ import annotations

import re
import unicodedata
from threading import local

import Stemmer

#: Signs that a word is written with or without: accents, and the vowels of Arabic and Hebrew. й is a letter of its own.
ACCENTS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf-\u05c7"
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06ed"
)
DROPPED = re.compile(f"(?<![\u0438\u0418])[{ACCENTS}]|(?<=[\u0438\u0418])(?!\u0306)[{ACCENTS}]")
#: Characters inside a word that nobody types: soft hyphen, joiners, marks of direction, selectors of a form.
IGNORED = re.compile("[\u00ad\u061c\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]")
#: Letters that are another one with a stroke, a dot less, or as Persian writes it.
ALIKE = str.maketrans(
    {
        "ı": "i",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ħ": "h",
        "ð": "d",
        "æ": "ae",
        "œ": "oe",
        "ى": "ي",
        "ی": "ي",
        "ک": "ك",
        "ٱ": "ا",
    }
)
#: Folding makes some signs longer, up to 18 times. Of a text so made, this many times its length counts.
MOST_GROWTH = 2
#: Characters that are normalized at once: what follows the last one that counts is not.
PIECE = 4_096


def folded_text(text: str) -> str:
    """Without case, accents, forms of width and invisible characters."""
    if text.isascii():
        return text.lower()
    longest = MOST_GROWTH * len(text)
    text = _compatible(IGNORED.sub(_space_for_a_break, text), longest=longest).casefold()[:longest]
    text = DROPPED.sub("", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFKC", text).translate(ALIKE)


def _compatible(text: str, *, longest: int) -> str:
    """At least the first `longest` characters in NFKC, but for marks between two pieces."""
    pieces, length = list[str](), 0
    for start in range(0, len(text), PIECE):
        pieces.append(unicodedata.normalize("NFKC", text[start : start + PIECE]))
        length += len(pieces[-1])
        if length > longest:
            break
    return "".join(pieces)


class _Stemmers(local):
    """The stemmer of each thread: it keeps what it works on in itself."""

    def __init__(self) -> None:
        self.english = Stemmer.Stemmer("english", 0)


_stemmers = _Stemmers()


def stem(word: str) -> str:
    """A folded word without its English ending: running, runs, run. A word of other letters as it is."""
    return str(_stemmers.english.stemWord(word)) if word.isascii() and word.isalpha() else word


def _space_for_a_break(found: re.Match[str]) -> str:
    return " " if found[0] == "\u200b" else ""
