"""Dear texts: prose at full length, and texts of that length that make a parser of Markdown work."""

from __future__ import annotations

import random
from collections.abc import Iterator

#: The longest body of a post, in characters.
LENGTH = 40_000


def fill(part: str) -> str:
    return (part * (LENGTH // len(part) + 1))[:LENGTH]


PROSE = fill("The relay reads the outbox in order; each event is published once its transaction has committed.\n\n")
RICH = fill(
    "The relay reads the **outbox** in order, and [an event](https://example.org/event) is published with `emit`"
    " once its transaction has committed. The second sentence of the paragraph has nothing special in it,"
    " as it is usual.\n\n"
)
LATER = range(0x32000, 0x3FFFE)
DEAR = [
    ("a|b\n-|-\n" + "|\n" * LENGTH)[:LENGTH],
    ("|a" * 200 + "|\n" + "|-" * 200 + "|\n" + ("|b" * 200 + "|\n") * 100)[:LENGTH],
    ("[a]: http://x.y\n\n" + fill("[a] "))[:LENGTH],
    "*" * 20_000 + "a" + "*" * 19_999,
    "".join("`" * size + "a" for size in range(1, 280)),
    ">" * 3_000 + "a\n",
    "".join(" " * 2 * depth + "- a\n" for depth in range(190)),
    *map(
        fill,
        [
            "![", "[", "- a\n", "- - - - - - a\n", "1. a\n", "a\n\n", "a\n", "a  \n", "# a\n", "a\n-\n", "**a**",
            "a**b", "_a__ ", "*a _b ", "~~a~~", "[](", "[a](b)", "http://", "http://a.b ", "<http://a.b>", "@ab ",
            "<b>", "`a`", "&amp;", "&#35;", "\\*", "!`.", "> a\n", ">\n", "> > > > a\n", "  \n> ```\n//",
            "||-|```\n> ```\n", "***\n\n", "```\na\n```\n", "http://'www.//", "/<!--[", "\\a>", "a:",
            "**（", "文**（a）**", "“**”中", "@anna处", "＠张", "_@a_ ", "[](a)", "[![a](b)](c)", "https://a.b/文、",
            "https://a.b文", "א\n\n", "|א", "//", "\t", " ", "\n", "a", "中文", "\ufdfa", "\ufdfa ",
            "\u3300", "\u3300中", "\u202e", "\u2066", "\u202e\u2069", "\u2066\u202c", "\u202c", "`\u202e`", "\u2066\n",
            "\u323f\u337f", "ำ", "กำ ", "a中", "中 文 ", "ก ข ", "ह भ ", "ا ب ", "ｶﾞ", "가나",
            "👩\u200d👩\u200d👧 ", "🇩🇪", "👍🏽", "a\u0301\u0302", "𞤀𞤣 ", "\U00020000\U0002b740", "ing ",
        ],
    ),
    # Different words, of which each has a place of its own in the index: Latin, Chinese, letters of later Unicode.
    " ".join(f"w{n:x}" for n in range(8_000))[:LENGTH],
    *("".join(random.Random(1).choices(list(map(chr, codes)), k=LENGTH)) for codes in (range(0x4E00, 0x9FA0), LATER)),
    "a".join(map(chr, range(0x4E00, 0x9C20))),
    " ".join(map(chr, range(0x4E00, 0x9C20))),
]  # fmt: skip

#: What random texts are made of: everything that means something in Markdown, and letters of other sizes.
PARTS = [
    *"!#$%&*+-:<=>@[\\]^_`{}~|()/'\".,;1aA中é＠（“\t ", "\n", "\n\n", "  \n", "://", "http", "](", "![", "**", "__",
    "~~", "```", "> ", "- ", "1. ", "    ", "||", "|-", "[a]: b\n", "&amp;", "\u0301", "\ufdfa", "𝄞", "@ab ", "<!--",
]  # fmt: skip


def random_texts(number: int, *, seed: int) -> Iterator[str]:
    """Texts that repeat one to six random parts."""
    chance = random.Random(seed)
    for _ in range(number):
        yield fill("".join(chance.choices(PARTS, k=chance.randint(1, 6))))
