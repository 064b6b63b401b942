"""Closing: a change of direction ends where its line ends, so that it reorders nothing that follows.

Unicode's embeddings, overrides and isolates (UAX #9) have a use in texts that mix scripts, and stay. One that nobody
ends would go on into whatever stands next to the text, as in the "Trojan Source" attacks (UTS #55); an end without a
beginning would end the part in which the text itself stands.
"""

from __future__ import annotations

import re

#: What begins a part with a direction of its own, and what ends it.
POP, POP_ISOLATE = "\u202c", "\u2069"
ENDS = dict.fromkeys("\u202a\u202b\u202d\u202e", POP) | dict.fromkeys("\u2066\u2067\u2068", POP_ISOLATE)
CHANGES = re.compile("[\u202a-\u202e\u2066-\u2069]")


class Line:
    """A line that is read in parts; it knows what has begun in it and has not ended."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._isolates = 0

    def read(self, part: str) -> str:
        """The part without ends that end nothing."""
        return part if part.isascii() else CHANGES.sub(self._read, part)

    def end(self) -> str:
        """The ends that are missing; then another line begins."""
        missing = "".join(reversed(self._open))
        self._open.clear()
        self._isolates = 0
        return missing

    def _read(self, found: re.Match[str]) -> str:
        char = found[0]
        if end := ENDS.get(char):
            self._open.append(end)
            self._isolates += end == POP_ISOLATE
        elif char == POP_ISOLATE and self._isolates:
            while self._open.pop() != POP_ISOLATE:  # it ends what began inside it, too
                pass
            self._isolates -= 1
        elif char == POP and self._open[-1:] == [POP]:
            self._open.pop()
        else:
            return ""
        return char


def closed(text: str) -> str:
    """The text, each of its lines with as many ends as beginnings."""
    if text.isascii() or not CHANGES.search(text):
        return text
    line = Line()
    return "\n".join(line.read(one) + line.end() for one in text.split("\n"))
