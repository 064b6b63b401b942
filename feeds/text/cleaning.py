"""Texts: what people write, cleaned and checked before it is stored."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

from feeds.errors import InvalidError

#: NUL, which PostgreSQL does not take, and halves of surrogate pairs, which are no UTF-8.
NOT_TEXT = re.compile("[\0\ud800-\udfff]")


def is_text(value: str) -> bool:
    """Whether every database and every reader of UTF-8 takes it."""
    return not NOT_TEXT.search(value)


def require_text(value: str, *, field: str) -> str:
    """The value as it is. Raises InvalidError."""
    if not is_text(value):
        raise InvalidError(field, _("This contains characters that are not text."))
    return value


def line(value: str, *, field: str, most: int, blank: bool = False) -> str:
    """One line of text, its white space evened out. Raises InvalidError."""
    return _checked(" ".join(require_text(value, field=field).split()), field=field, most=most, blank=blank)


def text(value: str, *, field: str, most: int, blank: bool = False) -> str:
    """Text of many lines, without white space at its end; line ends are as on Unix. Raises InvalidError."""
    value = require_text(value, field=field).replace("\r\n", "\n").replace("\r", "\n").rstrip()
    return _checked(value, field=field, most=most, blank=blank)


def _checked(value: str, *, field: str, most: int, blank: bool) -> str:
    if not value.strip() and not blank:
        raise InvalidError(field, _("This must not be empty."))
    if len(value) > most:
        raise InvalidError(
            field,
            _("This is too long: %(length)s characters, at most %(most)s.") % {"length": len(value), "most": most},
        )
    return value
