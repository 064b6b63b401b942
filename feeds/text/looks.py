"""Looks: what a name looks like. Two names that cannot be told apart have a look in common.

A look is the skeleton of Unicode TR39, by Unicode's own table in confusables.txt, without case: in NFD each character
is replaced by the one that stands for all that look like it, such as `l` for l, I, 1 and |, or `rn` for m.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("confusables.txt")
#: Letters whose small form Unicode's table has apart from the Latin letter that their capital is confused with, and
#: Latin small capitals. They count as that letter.
SAME_SHAPE = str.maketrans(
    {
        **dict(zip("вкмнтτκχղ", "bkmhttkxn", strict=True)),
        **dict(zip("ʙɢʜɪᴊᴋʟᴍɴᴘʀᴛʏᴀᴅᴇ", "bghijklmnprtyade", strict=True)),
    }
)
#: Characters in the look of one character of a name, at most.
MOST_GROWTH = 8


def looks_of_username(username: str) -> set[str]:
    """What a username looks like: as it is written, and in lower case, in which it may be written as well."""
    return {skeleton(username), skeleton(username.lower())}


def looks_of_slug(slug: str) -> set[str]:
    """What the slug of a circle looks like. A slug is made of words: modern and modem are two."""
    return {skeleton(slug, pairs=False)}


def skeleton(name: str, *, pairs: bool = True) -> str:
    """The name with one character for all that look alike. pairs: whether `m` also looks like the pair `rn`."""
    prototypes = _prototypes() if pairs else _prototypes_without_pairs()
    return _replaced(_replaced(name, prototypes).casefold(), prototypes)


def _replaced(name: str, prototypes: dict[int, str]) -> str:
    replaced = unicodedata.normalize("NFD", name).translate(SAME_SHAPE).translate(prototypes)
    return unicodedata.normalize("NFD", replaced)


@cache
def _prototypes() -> dict[int, str]:
    lines = (line.partition("#")[0].split(";") for line in TABLE.read_text(encoding="utf-8-sig").splitlines())
    return {
        int(fields[0], 16): "".join(chr(int(code, 16)) for code in fields[1].split())
        for fields in lines
        if len(fields) > 1
    }


@cache
def _prototypes_without_pairs() -> dict[int, str]:
    return {code: "m" if prototype == "rn" else prototype for code, prototype in _prototypes().items()}
