"""CJK: the scripts that are written without spaces between words: Chinese and Japanese, and Korean for its suffixes."""

import re

SCRIPTS = (
    "\u3005-\u3007"  # ideographic iteration mark, closing mark, zero
    "\u3040-\u30ff"  # Hiragana, Katakana
    "\u31f0-\u31ff"  # small Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    "\u1100-\u11ff\uac00-\ud7af"  # Hangul
    "\U00020000-\U0003ffff"  # Han, the supplementary planes
)
CHARACTER = re.compile(f"[{SCRIPTS}]")
RUN = re.compile(f"[{SCRIPTS}]+")


def bigrams(run: str) -> list[str]:
    """Every two adjacent characters of a run: 数据库 is 数据, 据库. A single character is returned as it is."""
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def segment(text: str) -> str:
    """Text in which a full-text index finds CJK words: each run becomes its bigrams and its last character.

    Each character begins a token, so one character is a prefix search and several are a phrase of bigrams.
    """
    return RUN.sub(lambda run: f" {' '.join([*bigrams(run[0]), run[0][-1:]] if len(run[0]) > 1 else run[0])} ", text)
