"""Query: a text as the words that are indexed, and the text of a search box as terms: the same for every database.

All words must occur; "quoted words" as a phrase; a -word must not occur. A run of Chinese, Japanese or Thai characters
is a phrase of its bigrams; a single such character is the beginning of a bigram (see `feeds.text.cjk`). Words are
folded and stemmed here (see `feeds.text.folding`): the databases only compare them. No word is too common.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from feeds.text.cjk import CHARACTER, RUN, bigrams, segments
from feeds.text.classes import character_class
from feeds.text.folding import folded_text, stem

TERM = re.compile(r'(?P<excluded>(?<!\S)-)?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')
PARTS = re.compile(f"({RUN.pattern})")
#: Where Unicode has the marks that Hindi, Tibetan… write with their letters.
MARKS = "".join(
    chr(code)
    for codes in (range(0x0300, 0x2100), range(0x2CEF, 0x3100), range(0xA66F, 0xAC00))
    for code in codes
    if unicodedata.category(chr(code)).startswith("M")
)
WORD = re.compile(rf"[^\W_](?:[^\W_]|[{MARKS}])*")
#: A letter that is written as its number.
NUMBERED = re.compile("x[0-9a-f]{3,5}x")
#: Characters of a word that count.
LONGEST_WORD = 64
#: Characters of a query that are read; the rest is ignored.
MAX_QUERY_LENGTH = 300
#: Terms of a query that are searched for; the rest is ignored.
MAX_TERMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Adjacent words, as they are indexed. spelled: as they were typed, folded only.

    opening: the single word is only the beginning of an indexed word. excluded: must not occur.
    """

    words: tuple[str, ...]
    spelled: tuple[str, ...]
    opening: bool = False
    excluded: bool = False

    @property
    def pattern(self) -> str:
        """The piece of an indexed text that shows that the term occurs."""
        return f" {' '.join(self.words)}{'' if self.opening else ' '}"


def indexed(text: str) -> str:
    """A text as it is indexed: its words, each between spaces. Empty if it has none."""
    words = " ".join(_words(folded_text(text)))
    return f" {words} " if words else ""


def letters(*indexed_texts: str) -> str:
    """The different characters of indexed texts that can be searched for alone, between spaces."""
    found = dict.fromkeys("".join(indexed_texts))
    numbered = dict.fromkeys(number for text in indexed_texts for number in NUMBERED.findall(text))
    return " ".join([*CHARACTER.findall("".join(found)), *numbered])


def terms_of(query: str) -> tuple[Term, ...]:
    """The terms of a query; none if it has no words."""
    terms: list[Term] = []
    for found in TERM.finditer(query[:MAX_QUERY_LENGTH]):
        excluded = found["excluded"] is not None
        plain: list[str] = []
        for part in PARTS.split(folded_text(found["phrase"] if found["phrase"] is not None else found["word"])):
            if RUN.fullmatch(part):
                words = bigrams(_known(part))
                terms.append(Term(words=tuple(words), spelled=(part,), opening=len(part) == 1, excluded=excluded))
            else:
                plain += WORD.findall(part)
        if plain:
            terms.append(Term(words=tuple(_stemmed(plain)), spelled=tuple(plain), excluded=excluded))
    return tuple(terms[:MAX_TERMS])


def _words(text: str) -> Iterator[str]:
    parts = PARTS.split(text)
    for number, part in enumerate(parts):
        if number % 2:
            yield from segments(_known(part))
        elif not part.isspace():
            yield from _stemmed(WORD.findall(part))


def _stemmed(words: Sequence[str]) -> Iterator[str]:
    stems = (stem(word[:LONGEST_WORD]) for word in words)
    return stems if _unknown().search(" ".join(words)) is None else map("".join, map(_known, stems))


def _known(word: str) -> Sequence[str]:
    """The characters; those that SQLite may not know yet as their numbers."""
    unknown = set(_unknown().findall(word))
    return [f"x{ord(char):x}x" if char in unknown else char for char in word] if unknown else word


@cache
def _unknown() -> re.Pattern[str]:
    """The characters that Unicode did not have in 2002. There are no letters behind its third plane."""
    codes = range(0x80, 0x40000)
    return re.compile(character_class(code for code in codes if unicodedata.ucd_3_2_0.category(chr(code)) == "Cn"))
