"""Mentions: the people a text addresses by @name."""

from feeds.text.markdown import parse
from feeds.text.usernames import folded

#: More names than this in one text are ignored: nobody can call a crowd.
LIMIT = 10


def mentions(text: str) -> tuple[str, ...]:
    """The mentioned usernames as first written, each once regardless of case, in order, at most 10.

    Read from the parsed Markdown, so a name in code, a link, an image or an e-mail address is none.
    """
    names: dict[str, str] = {}
    for block in parse(text):
        for token in block.children or ():
            if token.type == "mention":
                names.setdefault(folded(token.content), token.content)
    return tuple(names.values())[:LIMIT]
