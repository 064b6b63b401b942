"""CJK: Chinese, Japanese and Korean, and the other scripts whose words follow one another without spaces.

Korean is among them for its suffixes. The characters of Thai, Lao, Khmer and Burmese include their vowels and tones.
"""

import re
from collections.abc import Sequence
from operator import add

SCRIPTS = (
    "\u3005-\u3007"  # ideographic iteration mark, closing mark, zero
    "\u3040-\u30ff"  # Hiragana, Katakana
    "\u31f0-\u31ff"  # small Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    "\u1100-\u11ff\uac00-\ud7af"  # Hangul
    "\u0e01-\u0e3a\u0e40-\u0e4e"  # Thai
    "\u0e81-\u0ebd\u0ec0-\u0ece\u0edc-\u0edf"  # Lao
    "\u1780-\u17d3\u17dc-\u17dd"  # Khmer
    "\u1000-\u103f\u1050-\u109f\ua9e0-\ua9fe\uaa60-\uaa7f"  # Burmese
    "\U00020000-\U0003ffff"  # Han, the supplementary planes
)
CHARACTER = re.compile(f"[{SCRIPTS}]")
RUN = re.compile(f"[{SCRIPTS}]+")


def bigrams(run: Sequence[str]) -> list[str]:
    """Every two adjacent characters of a run: 数据库 is 数据, 据库. A single character is returned as it is."""
    return list(map(add, run, run[1:])) or [run[0]]


def segments(run: Sequence[str]) -> list[str]:
    """The words under which a full-text index finds every part of a run: its bigrams and its last character.

    Each character begins a word, so one character is the beginning of a word and several are a phrase of bigrams.
    """
    return [*bigrams(run), run[-1]] if len(run) > 1 else [run[0]]
