"""Parsed: what is made of a text that people write, with one look of the parser: HTML, words, opening, mentions."""

from __future__ import annotations

import hashlib
import sys
from typing import NamedTuple

from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator

from feeds.text.budget import within_budget
from feeds.text.closing import closed
from feeds.text.markdown import mentioned, parse, to_html, to_words
from feeds.text.remembered import Remembered
from feeds.text.usernames import folded

#: Usernames in one text that count as mentions; further ones are ignored.
MAX_MENTIONS = 10
#: Characters of HTML for each character of the text, and the length from which this counts; a shorter text may have as
#: much HTML as one of that length. A text whose HTML would be longer is shown as it was written.
MAX_GROWTH, SHORT = 5, 10_000
#: Characters of the opening, and of the words that are looked at for it: an accent of its own is no character there.
OPENING_LENGTH, OPENING_READ = 280, 2_000
#: The longest texts take 1 MB each: 40,000 characters, with HTML of five times as many, at up to 4 bytes each.
REMEMBERED_BYTES = 16 * 2**20


class ParsedText(NamedTuple):
    """A text, as it is shown and as it is searched.

    html: safe HTML. words: without syntax and link targets. opening: the first words, for a list. mentions: the names,
    each once regardless of case, as first written, at most MAX_MENTIONS.
    """

    html: SafeString
    words: str
    opening: str
    mentions: tuple[str, ...]


def parsed(text: str) -> ParsedText:
    """Parse a text, or remember how it was parsed. What is beyond the parser's budget is shown as it was written."""
    key = digest_of(text)
    if (made := remembered.get(key)) is None:
        made = _parsed(text)
        remembered.keep(key, made, size=_bytes_of(made))
    return made


def digest_of(text: str) -> str:
    """What tells this text from every other: 32 characters."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _parsed(text: str) -> ParsedText:
    markdown, rest = within_budget(text)
    tokens = parse(markdown)
    html, words = to_html(tokens), to_words(tokens)
    if rest.strip():
        html, words = mark_safe(html + _as_written(rest)), f"{words}\n{closed(rest)}"
    if len(html) > MAX_GROWTH * max(len(text), SHORT):
        html, words = _as_written(text), closed(text)
    names: dict[str, str] = {}
    for name in mentioned(tokens):
        names.setdefault(folded(name), name)
    words = words.strip()
    return ParsedText(html, words, _opening(words), tuple(names.values())[:MAX_MENTIONS])


def _as_written(text: str) -> SafeString:
    # Not Django's escape(): between tags a quotation mark may stay, and a text of them alone would grow sixfold.
    shown = closed(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return mark_safe(f'<div class="as-written" dir="auto">{shown}</div>\n')


def _opening(words: str) -> str:
    return closed(Truncator(" ".join(words[:OPENING_READ].split())).chars(OPENING_LENGTH, truncate="…"))


def _bytes_of(made: ParsedText) -> int:
    texts = (made.html, made.words, made.opening, *made.mentions)
    return sum(map(sys.getsizeof, texts)) + sys.getsizeof(made)


remembered: Remembered[ParsedText] = Remembered(max_bytes=REMEMBERED_BYTES)
