"""Snippet: the part of a text that matches a query, as safe HTML with the matches in <mark>."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from feeds.search.query import Term
from feeds.text.cjk import RUN

#: Characters in a snippet.
SNIPPET_LENGTH = 200
#: Characters before the first match.
LEAD_LENGTH = 60
#: English endings that the index ignores; close enough to mark the matches.
ENGLISH_ENDINGS = re.compile(r"(ies|ied|ing|edly|ed|ly|es|s|e|y)$")


def snippet(text: str, terms: Iterable[Term]) -> SafeString:
    """The part around the first match in `text`; its beginning if only the title matched."""
    pattern = _pattern(terms)
    first = pattern.search(text) if pattern else None
    start = _word_start(text, max(0, first.start() - LEAD_LENGTH)) if first else 0
    end = min(len(text), start + SNIPPET_LENGTH)
    shown = "".join(_marked(text[start:end], pattern))
    return mark_safe(f"{'… ' if start else ''}{shown}{' …' if end < len(text) else ''}")


def _marked(text: str, pattern: re.Pattern[str] | None) -> Iterator[str]:
    done = 0
    for match in pattern.finditer(text) if pattern else ():
        yield f"{escape(text[done : match.start()])}<mark>{escape(match[0])}</mark>"
        done = match.end()
    yield escape(text[done:])


def _pattern(terms: Iterable[Term]) -> re.Pattern[str] | None:
    found = [_term_pattern(term) for term in terms if not term.excluded]
    return re.compile("|".join(found), re.IGNORECASE) if found else None


def _term_pattern(term: Term) -> str:
    if RUN.fullmatch(term.words[0]):
        return re.escape(term.words[0] + "".join(word[1] for word in term.words[1:]))
    return r"\W+".join(_word_pattern(word) for word in term.words)


def _word_pattern(word: str) -> str:
    stem = ENGLISH_ENDINGS.sub("", word) if len(word) > 3 else word
    stem = stem[:-1] if len(stem) > 3 and stem != word and stem[-1] == stem[-2] else stem
    longest = len(word) - len(stem) + 4 if len(word) > 2 else 0
    return rf"\b{re.escape(stem)}\w{{0,{longest}}}\b" if longest else rf"\b{re.escape(word)}\b"


def _word_start(text: str, position: int) -> int:
    space = text.find(" ", position, position + 20)
    return space + 1 if position and space >= 0 else position
