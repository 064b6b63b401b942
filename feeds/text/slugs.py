"""Slugs: how the slugs of circles are stored, and which are reserved."""

import re
import unicodedata

#: Slugs that no circle may have: the form for a new circle is at /circles/new.
RESERVED_SLUGS = {"new"}


def normalized_slug(slug: str) -> str:
    """The one spelling that is stored and looked up: NFKC, lower case."""
    return unicodedata.normalize("NFKC", slug).lower()


def words_of_slug(slug: str) -> list[str]:
    """The words that a slug is made of."""
    return re.split("[-_]+", slug)
