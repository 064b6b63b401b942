"""Renaming: a text in which the mentions of some names lead to another one, and every other character stays."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator

from feeds.text.budget import within_budget
from feeds.text.markdown import mentioned, parse
from feeds.text.mentions import candidates

AT = "[@＠]"


def renamed(text: str, is_meant: Callable[[str], str], *, to: str) -> str:
    """The text with `to` in place of each mention that is meant.

    is_meant: from the name as it stands in a mention, which text may follow (`candidates`), its beginning that is the
    name, or "".

    A name in code, a link or an address is no mention, and stays. Only the parser knows which is which, and it keeps no
    places in the text; so every place is tried with a name of its own, and the parser is asked which of them it found.
    """
    if not re.search(AT, text):
        return text
    names = {name for run in _mentions(text) if (name := is_meant(run))}
    if not names:
        return text
    places = re.compile(f"({AT})({'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})")
    mark = f"zq{secrets.token_hex(4)}x"
    count = iter(range(len(text)))
    marked = places.sub(lambda place: f"{place[1]}{mark}{next(count)}z", text)
    found = {name for run in _mentions(marked) for name in candidates(run) if name.startswith(mark)}
    count = iter(range(len(text)))
    return places.sub(lambda place: place[1] + (to if f"{mark}{next(count)}z" in found else place[2]), text)


def _mentions(text: str) -> Iterator[str]:
    markdown, _ = within_budget(text)
    return mentioned(parse(markdown))
