"""Budget: how much of a text is read as Markdown, so that no text costs much more than prose of its length.

A character costs 1: 0.1 µs on the machine where the prices were measured. A character or pair that makes the parser
work costs what it took there, more than that. What is beyond the budget is shown as it was written.
"""

from __future__ import annotations

import re
from bisect import bisect_right

#: Prose of 40,000 characters has about 80,000; with a link, a word in bold and a piece of code in each paragraph of
#: 230 characters, about 250,000.
BUDGET = 300_000
#: At each of these characters the parser tries its rules.
TRIED, TRIED_PRICE = "!#$%&*+-:<=>@[\\]^_`{}~", 40
#: What some of them, and others, cost besides.
PRICES = {
    "\n": 120, "|": 300, "[": 70, "![": 200, "](": 60, "*": 40, "_": 70, "~": 60, "@": 60, "＠": 120, "://": 320,
    "`": 20, "\\": 60, ">": 60, "#": 40, "  \n": 60,
}  # fmt: skip
#: The beginning of a list's item, which may follow another in the same line.
ITEM = re.compile(r"(?:[-+*]|\d[.)])(?=\s)")
ITEM_PRICE = 200
#: Lines between two empty ones.
PARAGRAPH = re.compile(r"\n[ \t>]*\n")
QUOTED = re.compile(r"^[ \t\d>+*.)-]*>", re.MULTILINE)
#: The parser reads the rest of a quotation again for each line in it that is not marked as quoted.
REREAD_PRICE = 12
#: Characters before the end of the budget among which a line's end is looked for.
LAST_LINE = 500


def within_budget(text: str) -> tuple[str, str]:
    """The beginning that is read as Markdown, to the end of a line if possible, and the rest."""
    if cost(text) <= BUDGET:
        return text, ""
    end = bisect_right(range(len(text)), BUDGET, key=lambda end: cost(text[:end])) - 1
    line = text.rfind("\n", max(0, end - LAST_LINE), end) + 1
    return text[: line or end], text[line or end :]


def cost(text: str) -> int:
    """What it costs to read this as Markdown, in tenths of a microsecond."""
    dear = sum(text.count(part) * price for part, price in PRICES.items())
    dear += sum(map(text.count, TRIED)) * TRIED_PRICE
    items = len(ITEM.findall(text)) * ITEM_PRICE
    return len(text) + dear + items + sum(map(_rereading, PARAGRAPH.split(text))) * REREAD_PRICE


def _rereading(paragraph: str) -> int:
    """Lines that the parser reads again."""
    lines, quoted = paragraph.strip("\n").count("\n") + 1, len(QUOTED.findall(paragraph))
    return min(quoted, lines - quoted) * lines
