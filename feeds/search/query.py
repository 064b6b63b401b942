"""Query: the text of a search box as terms, the same for every database.

All words must occur; "quoted words" as a phrase; a -word must not occur. A run of Chinese, Japanese or Korean
characters is a phrase of its bigrams; a single such character is the beginning of a bigram (see `feeds.text.cjk`).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from feeds.text.cjk import RUN, bigrams, segment

TERM = re.compile(r'(?P<excluded>(?<!\S)-)?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')
WORD = re.compile(r"\w+")
#: Characters of a query that are read; the rest is ignored.
MAX_QUERY_LENGTH = 300
#: Terms of a query that are searched for; the rest is ignored.
MAX_TERMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Adjacent words. opening: the single word is only the beginning of an indexed word. excluded: must not occur."""

    words: tuple[str, ...]
    opening: bool = False
    excluded: bool = False


def indexed(text: str) -> str:
    """A text as it is indexed: words only, so that no database finds operators or markup in it."""
    return " ".join(WORD.findall(segment(_normalized(text))))


def terms_of(query: str) -> tuple[Term, ...]:
    """The terms of a query; none if it has no words."""
    terms: list[Term] = []
    for found in TERM.finditer(_normalized(query[:MAX_QUERY_LENGTH])):
        excluded = found["excluded"] is not None
        text = found["phrase"] if found["phrase"] is not None else found["word"]
        plain: list[str] = []
        for part in re.split(f"({RUN.pattern})", text):
            if RUN.fullmatch(part):
                terms.append(Term(words=tuple(bigrams(part)), opening=len(part) == 1, excluded=excluded))
            else:
                plain += WORD.findall(part)
        if plain:
            terms.append(Term(words=tuple(plain), excluded=excluded))
    return tuple(terms[:MAX_TERMS])


def _normalized(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
