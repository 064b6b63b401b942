"""Mentions: which names an @name in a text may mean.

In a script without spaces the text goes on right behind the name: 交给@anna处理. So what stands behind the @ is read as
far as a name could go, and `candidates` are the names that it may mean. The longest that a user has is meant.
"""

from __future__ import annotations

import re
import unicodedata

from feeds.text.scripts import UNSPACED, is_unspaced, script_of
from feeds.text.usernames import MAX_USERNAME_LENGTH, NAME_CHARACTER, USERNAME_PATTERN

NAME = re.compile(USERNAME_PATTERN)
GOES_ON = re.compile(NAME_CHARACTER)
#: Characters of a name that may end inside a Chinese word: with one, every family name would be found.
SHORTEST_PART = 2


def name_at(text: str, start: int, end: int) -> str:
    """The longest possible name that begins at `start`, read up to `end`; empty if there is none."""
    found = NAME.match(text, start, end)
    if found is None:
        return ""
    run = found[0]
    if len(run) < MAX_USERNAME_LENGTH or not GOES_ON.match(text, found.end(), end):
        return run
    run += text[found.end()]
    return next((run[:cut] for cut in range(MAX_USERNAME_LENGTH, 0, -1) if _may_end(run, cut)), "")


def candidates(name: str) -> list[str]:
    """The names that an @name may mean, longest first: itself, and its beginnings before text of another script.

    Without the `_` and `-` at its end, too.
    """
    names = {name, *(name[:cut] for cut in range(1, len(name)) if _may_end(name, cut))}
    names |= {stripped for one in names if (stripped := one.rstrip("_-"))}
    return sorted(names, key=len, reverse=True)


def linked(name: str) -> int:
    """Characters of an @name that are shown as a link: in a name of plain letters, those before Chinese text."""
    if name.isascii():
        return len(name)
    cuts = (cut for cut in range(1, len(name)) if _may_end(name, cut) and is_unspaced(name[cut]))
    return next((cut for cut in cuts if not is_unspaced(name[cut - 1])), len(name))


def _may_end(run: str, cut: int) -> bool:
    """Whether a name may end before this character of the run: at a change of script, or inside an unspaced script."""
    after = run[cut]
    script = script_of(after)
    if script is None or unicodedata.category(after).startswith("M"):
        return False
    before = next((known for char in reversed(run[:cut]) if (known := script_of(char))), None)
    if before == script or before is None:
        return script in UNSPACED and cut >= SHORTEST_PART
    return True
