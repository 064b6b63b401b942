"""Flanking: where emphasis may begin and end, also in scripts that are written without spaces.

CommonMark reads `**` between a sign and a letter as no end of an emphasis, since a space would follow the sign. Chinese
has no such spaces. So a full-width sign counts as a letter here, and a letter of an unspaced script as a space: these
are the published rules of "CommonMark, CJK friendly", here also for Thai, Lao, Khmer, Burmese and Tibetan.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType

from feeds.text.scripts import is_unspaced

#: Signs that choose a form of the character before them.
FORM_SELECTORS = ("\ufe00", "\ufe0f"), ("\U000e0100", "\U000e01ef")


class FlankingState(StateInline):
    """The state of the inline parser, with these rules for emphasis."""

    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:
        end, marker = start, self.src[start]
        while end < self.posMax and self.src[end] == marker:
            end += 1
        before = self.src[start - 1] if start else " "
        after = self.src[end] if end < self.posMax else " "
        base = self.src[start - 2] if start > 1 and _selects_form(before) else before
        before_is_space, after_is_space = isWhiteSpace(ord(before)), isWhiteSpace(ord(after))
        before_is_sign, after_is_sign = _is_sign(before), _is_sign(after)
        before_is_unspaced, after_is_unspaced = is_full_width(base), is_full_width(after)
        opens = not after_is_space and (
            not after_is_sign or after_is_unspaced or before_is_space or before_is_sign or before_is_unspaced
        )
        closes = not before_is_space and (
            not before_is_sign or before_is_unspaced or after_is_space or after_is_sign or after_is_unspaced
        )
        return Scanned(
            opens and (canSplitWord or not closes or before_is_sign),
            closes and (canSplitWord or not opens or after_is_sign),
            end - start,
        )


class FlankingParser(ParserInline):
    """The inline parser, with a `FlankingState`."""

    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        state = FlankingState(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


@lru_cache(8192)
def is_full_width(char: str) -> bool:
    """Whether it is as wide as a Chinese character, and no emoji, or belongs to another unspaced script."""
    if char < "\x80":
        return False
    is_picture = (
        unicodedata.category(char) == "So" and not "\u2e80" <= char <= "\ufaff"
    ) or "\U0001f000" <= char < "\U00020000"
    return is_unspaced(char) or (unicodedata.east_asian_width(char) in "WFH" and not is_picture)


def _is_sign(char: str) -> bool:
    return isMdAsciiPunct(ord(char)) or isPunctChar(char)


def _selects_form(char: str) -> bool:
    return any(first <= char <= last for first, last in FORM_SELECTORS)
