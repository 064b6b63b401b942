"""Topics: patterns of topics, and which topics they match, by the rules of an AMQP topic exchange."""

from __future__ import annotations

import re
from functools import lru_cache

#: Words with dots between; `*` stands for one word, `#` for any number of words.
PATTERN = re.compile(r"(#|\*|[a-z0-9_]+)(\.(#|\*|[a-z0-9_]+))*")


@lru_cache(maxsize=4096)
def matches(pattern: str, topic: str) -> bool:
    """Whether a topic fits an AMQP pattern: `*` is one word, `#` any number of words."""
    return _matches(pattern.split("."), topic.split("."))


def _matches(pattern: list[str], topic: list[str]) -> bool:
    if not pattern:
        return not topic
    if pattern[0] == "#":
        return _matches(pattern[1:], topic) or (bool(topic) and _matches(pattern, topic[1:]))
    return bool(topic) and pattern[0] in ("*", topic[0]) and _matches(pattern[1:], topic[1:])
