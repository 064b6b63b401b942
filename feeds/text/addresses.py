"""Addresses: where a bare address ends, and to which addresses a text may link."""

from __future__ import annotations

import re

from linkify_it import LinkifyIt

from feeds.text.scripts import is_unspaced

#: Characters of a bare address that becomes a link.
LONGEST = 2_000
#: The end of the text before "://".
SCHEME = re.compile(r"(?<![A-Za-z0-9.+-])https?\Z", re.IGNORECASE)
#: What ends a bare address: full-width and typographic signs, and the end of an emphasis before another script.
#: A letter may follow an apostrophe.
END = re.compile(
    "[\u00ab\u00bb\u2014\u2018\u201a-\u201f\u2026\u2039\u203a\u3000-\u3003\u3008-\u3011\u3014-\u301f\u30fb"
    "\ufe10-\ufe1f\ufe30-\ufe6f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]"
    r"|\u2019(?!\w)|(?:\*\*|~~|__)(?=[^\x00-\x7f])"
)
#: A host of plain letters, before what is none.
PLAIN_HOST = re.compile(
    r"https?://(?:[a-z0-9-]+\.)*(?:localhost|[a-z]{2,}|\d+)(?::\d+)?(?=[^\x00-\x7f])", re.IGNORECASE
)
#: The scheme of an address.
ANY_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]*):", re.IGNORECASE)
LINKED_SCHEMES = {"http", "https", "mailto"}

_linkify = LinkifyIt()


def bare_address(text: str) -> str:
    """The address at the beginning of the text, as far as it is one; empty if it has no host.

    text: begins with http:// or https://.
    """
    end = END.search(text)
    text = text[: end.start()] if end else text
    host = PLAIN_HOST.match(text)
    if host and is_unspaced(text[host.end()]):
        text = host[0]
    link = _linkify.match_at_start(text)
    return link.url.rstrip("*_~") if link else ""


def may_be_linked(address: str) -> bool:
    """Whether a link may lead there: a page, a mail address, or a path of this site."""
    scheme = ANY_SCHEME.match(address)
    return scheme is None or scheme[1].lower() in LINKED_SCHEMES
