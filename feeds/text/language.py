"""Language: what the script of a text says about its language, for fonts and voices."""

from __future__ import annotations

import re
from collections import Counter

from feeds.text.scripts import UNSPACED, script_of

#: Letters of a text that are looked at.
SAMPLE = 200
#: A Chinese character stands for about as much as this many letters.
LETTERS_PER_SIGN = 3
#: The share of kana from which a text with Chinese characters is Japanese. Chinese borrows a の now and then.
JAPANESE_FROM = 0.1
LANGUAGES = {
    "HAN": "zh", "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "ARABIC": "ar", "HEBREW": "he", "THAI": "th",
    "DEVANAGARI": "hi", "BENGALI": "bn", "TAMIL": "ta", "TELUGU": "te", "GUJARATI": "gu", "KANNADA": "kn",
    "MALAYALAM": "ml", "GURMUKHI": "pa", "SINHALA": "si", "LAO": "lo", "KHMER": "km", "MYANMAR": "my", "TIBETAN": "bo",
    "GREEK": "el", "GEORGIAN": "ka", "ARMENIAN": "hy", "ETHIOPIC": "am",
}  # fmt: skip
#: Letters that Arabic does not have.
URDU, PERSIAN = re.compile("[ٹڈڑںےہ]"), re.compile("[پچژگکی]")


def language_of(text: str) -> str:
    """A language tag such as zh, ja or ar; empty if the script does not say it, as that of English and French."""
    sample = text[:SAMPLE]
    if sample.isascii():
        return ""
    counts = Counter(script for char in sample if (script := script_of(char)))
    kana = counts["HIRAGANA"] + counts["KATAKANA"]
    if kana and kana >= JAPANESE_FROM * (kana + counts["HAN"]):
        counts["HIRAGANA"] = kana + counts.pop("HAN", 0)
    weights = {script: count * (LETTERS_PER_SIGN if script in UNSPACED else 1) for script, count in counts.items()}
    script = max(weights, key=lambda name: weights[name], default="")
    if script == "ARABIC":
        return "ur" if URDU.search(sample) else "fa" if PERSIAN.search(sample) else "ar"
    return LANGUAGES.get(script, "")
