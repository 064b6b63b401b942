"""Mentions: the users that a text addresses by @name."""

from feeds.text.markdown import parse
from feeds.text.usernames import folded

#: Usernames in one text that count as mentions; further ones are ignored.
MAX_MENTIONS = 10


def mentions(text: str) -> tuple[str, ...]:
    """The mentioned usernames in order, each once regardless of case, as first written, at most MAX_MENTIONS.

    Taken from the parsed Markdown: a name in code, a link, an image or an e-mail address does not count.
    """
    names: dict[str, str] = {}
    for block in parse(text):
        for token in block.children or ():
            if token.type == "mention":
                names.setdefault(folded(token.content), token.content)
    return tuple(names.values())[:MAX_MENTIONS]
