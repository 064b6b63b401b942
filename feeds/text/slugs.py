"""Slugs: how the slugs of circles are stored, and which are reserved."""

import unicodedata

#: Slugs that no circle may have: the form for a new circle is at /circles/new.
RESERVED_SLUGS = {"new"}


def normalized_slug(slug: str) -> str:
    """The one spelling that is stored and looked up: NFKC, lower case."""
    return unicodedata.normalize("NFKC", slug).lower()
