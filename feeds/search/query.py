"""Query: what somebody typed into the search box, as terms that every database understands alike.

Words must all occur; "quoted words" as a phrase; -word must not. A run of Chinese, Japanese or Korean characters is a
phrase of its bigrams, one such character alone the beginning of a bigram (see `feeds.text.cjk`).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from feeds.text.cjk import RUN, bigrams, segment

TERM = re.compile(r'(?P<excluded>(?<!\S)-)?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')
WORD = re.compile(r"\w+")
#: Only so many characters, and terms, of a query count.
LENGTH, LIMIT = 300, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Words that stand side by side. `opening`: the one word is only the beginning of an indexed one."""

    words: tuple[str, ...]
    opening: bool = False
    excluded: bool = False


def indexed(text: str) -> str:
    """A text as it goes into the index: its words alone, so that no database reads more into them than we ask for."""
    return " ".join(WORD.findall(segment(_normalized(text))))


def terms_of(query: str) -> tuple[Term, ...]:
    """The terms of a query; none when nothing in it can be searched for."""
    terms: list[Term] = []
    for found in TERM.finditer(_normalized(query[:LENGTH])):
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
    return tuple(terms[:LIMIT])


def _normalized(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
