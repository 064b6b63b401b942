"""Scripts: to which writing system a character belongs, and which of them are written without spaces."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

#: Words in these scripts, or their endings, follow one another without a space.
UNSPACED = {"HAN", "HIRAGANA", "KATAKANA", "BOPOMOFO", "YI", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"}
#: First words of Unicode names that mean another script, or none.
ALIASES = {"CJK": "HAN", "IDEOGRAPHIC": "HAN"}
COMMON = {"KATAKANA-HIRAGANA", "MODIFIER", "COMBINING", "FEMININE", "MASCULINE", "MICRO"}


@lru_cache(8192)
def script_of(char: str) -> str | None:
    """The script of a letter, in capitals: LATIN, HAN, ARABIC…; None for a digit, a mark or a sign."""
    plain = unicodedata.normalize("NFKC", char)[:1]
    if not unicodedata.category(plain).startswith(("L", "M", "Nl")):
        return None
    name = unicodedata.name(plain, "").partition(" ")[0]
    return None if not name or name in COMMON else ALIASES.get(name, name)


def is_unspaced(char: str) -> bool:
    """Whether the character is of a script that is written without spaces between words."""
    return char > "\x7f" and script_of(char) in UNSPACED
