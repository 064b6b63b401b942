"""Version: what is made of a text changes only together with the version, so that `rerender` finds what is older."""

from __future__ import annotations

from feeds.text.markdown import VERSION
from feeds.text.parsed import digest_of, parsed
from tests.support.dear_texts import RICH

TEXTS = [
    RICH[:2_000],
    "# Title\n\n> A *quotation* of `code`\n\n1. one\n2. ~~two~~\n\n```\n<b>\n```\n\n---\n",
    "| a | b |\n|:-:|--:|\n| 1 | 2 |\n",
    "@anna, @Anna, ＠张三, a@b.example, `@code`, [@link](/x)",
    "看https://example.com/a。**注意：**请看 <https://example.org> ![an image](https://example.org/i.png)",
    "<script>alert(1)</script> [x](javascript:alert(1)) &amp; \\*",
    "# مرحبا\n\n> 1. قال\n\n| أ |\n|---|\n",
    "see \u202etxt.exe\nand `\u2066` on",
    "![" * 20_000,
    "@张三 " * 3_000,
]
#: The digest of what was made of these texts, by version.
MADE = {2: "d14c8bae3bb5a1bb2e34750736630877"}


def test_what_is_made_of_a_text_changes_only_with_the_version() -> None:
    made = digest_of(repr([tuple(parsed(text)) for text in TEXTS]))
    cure = f"raise VERSION in feeds/text/markdown.py, and write here MADE = {{<the new version>: {made!r}}}"
    assert MADE.get(VERSION) == made, cure
