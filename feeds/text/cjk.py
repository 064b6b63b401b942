"""CJK: the scripts that are written without spaces between words (Chinese, Japanese, and Korean for its suffixes)."""

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
    """Each two neighbours of a run: 数据库 is 数据, 据库."""
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def segment(text: str) -> str:
    """Text in which a full-text index finds CJK words: every run becomes its bigrams and its last character.

    So each character begins a token, which makes one character a prefix search and several a phrase of bigrams.
    """
    return RUN.sub(lambda run: f" {' '.join([*bigrams(run[0]), run[0][-1:]] if len(run[0]) > 1 else run[0])} ", text)
