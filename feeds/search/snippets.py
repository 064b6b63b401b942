"""Snippet: the part of a text that matches a query, as safe HTML with the matches in <mark>."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from feeds.search.query import Term
from feeds.text.cjk import RUN
from feeds.text.closing import closed
from feeds.text.folding import ACCENTS, folded_text

#: Characters in a snippet.
SNIPPET_LENGTH = 200
#: Characters before the first match.
LEAD_LENGTH = 60
#: English endings that the index ignores; close enough to mark the matches.
ENGLISH_ENDINGS = re.compile(r"(ies|ied|ing|edly|ed|ly|es|s|e|y)$")

#: Blocks with letters that are folded to others: Latin, Greek, Cyrillic, Arabic, full width.
WITH_VARIANTS = (0x41, 0x5A), (0xC0, 0x24F), (0x370, 0x45F), (0x620, 0x6D3), (0x1E00, 0x1FFF), (0xFF10, 0xFF9F)
#: What may follow a letter without being typed, and the characters of a word, also of an Indian one.
BEHIND_LETTER = f"{ACCENTS}\u00ad\u200c\u200d"
IN_WORD = rf"\w{ACCENTS}\u0900-\u0963\u0966-\u0dff\u0f71-\u0fbc"


def snippet(text: str, terms: Iterable[Term]) -> SafeString:
    """The part around the first match in `text`; its beginning if only the title matched."""
    pattern = _pattern(tuple(terms))
    first = pattern.search(text) if pattern else None
    start = _word_start(text, max(0, first.start() - LEAD_LENGTH)) if first else 0
    end = min(len(text), start + SNIPPET_LENGTH)
    shown = "".join(_marked(closed(text[start:end]), pattern))
    return mark_safe(f"{'… ' if start else ''}{shown}{' …' if end < len(text) else ''}")


def _marked(text: str, pattern: re.Pattern[str] | None) -> Iterator[str]:
    done = 0
    for match in pattern.finditer(text) if pattern else ():
        yield f"{escape(text[done : match.start()])}<mark>{escape(match[0])}</mark>"
        done = match.end()
    yield escape(text[done:])


@lru_cache(128)
def _pattern(terms: tuple[Term, ...]) -> re.Pattern[str] | None:
    found = [_term_pattern(term) for term in terms if not term.excluded]
    return re.compile("|".join(found), re.IGNORECASE) if found else None


def _term_pattern(term: Term) -> str:
    if RUN.fullmatch(term.spelled[0]):
        return "".join(map(_letter_pattern, term.spelled[0]))
    return rf"[^{IN_WORD}]+".join(map(_word_pattern, term.spelled))


def _word_pattern(word: str) -> str:
    stem = ENGLISH_ENDINGS.sub("", word) if len(word) > 3 and word.isascii() else word
    stem = stem[:-1] if len(stem) > 3 and stem != word and stem[-1] == stem[-2] else stem
    longest = len(word) - len(stem) + 4 if len(word) > 2 and word.isascii() else 0
    letters = "".join(map(_letter_pattern, stem))
    return rf"(?<![{IN_WORD}]){letters}[{IN_WORD}]{{0,{longest}}}(?![{IN_WORD}])"


def _letter_pattern(letter: str) -> str:
    """A folded letter as it may be written: with accents, full width, with the vowels of Arabic behind it."""
    return f"[{re.escape(letter)}{re.escape(_variants().get(letter, ''))}][{BEHIND_LETTER}]*"


@cache
def _variants() -> Mapping[str, str]:
    """The letters that are folded to each letter."""
    found: dict[str, str] = {}
    for first, last in WITH_VARIANTS:
        for char in map(chr, range(first, last + 1)):
            if char.isalnum() and len(folded := folded_text(char)) == 1 and folded != char:
                found[folded] = found.get(folded, "") + char
    return found


def _word_start(text: str, position: int) -> int:
    space = text.find(" ", position, position + 20)
    return space + 1 if position and space >= 0 else position
