"""Slugs: how those of circles are written in an address, and which are kept."""

import unicodedata

#: At /circles/new stands the form.
RESERVED = {"new"}


def normalized(slug: str) -> str:
    """The one spelling that is stored (NFKC, lower case): by it a circle is found."""
    return unicodedata.normalize("NFKC", slug).lower()
