"""Cleaning: check and normalize the text that people write, before it is stored."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

from feeds.errors import InvalidError

#: NUL, which PostgreSQL refuses, and halves of surrogate pairs, which UTF-8 cannot encode.
NOT_TEXT = re.compile("[\0\ud800-\udfff]")


def is_text(value: str) -> bool:
    """Whether every database accepts the value and UTF-8 can encode it."""
    return not NOT_TEXT.search(value)


def require_text(value: str, *, field: str) -> str:
    """The value, unchanged. Raises InvalidError for the field unless `is_text`."""
    if not is_text(value):
        raise InvalidError(field, _("This contains invalid characters. Remove them and try again."))
    return value


def clean_line(value: str, *, field: str, max_length: int, blank: bool = False) -> str:
    """One line of text: runs of white space become one space. Raises InvalidError for the field.

    max_length: in characters, after cleaning. blank: whether it may be empty.
    """
    line = " ".join(require_text(value, field=field).split())
    return _checked(line, field=field, max_length=max_length, blank=blank)


def clean_text(value: str, *, field: str, max_length: int, blank: bool = False) -> str:
    """Text of many lines: line ends become \\n, white space at the end goes. Raises InvalidError for the field.

    max_length: in characters, after cleaning. blank: whether it may be empty.
    """
    text = require_text(value, field=field).replace("\r\n", "\n").replace("\r", "\n").rstrip()
    return _checked(text, field=field, max_length=max_length, blank=blank)


def _checked(value: str, *, field: str, max_length: int, blank: bool) -> str:
    if not value.strip() and not blank:
        raise InvalidError(field, _("This must not be empty."))
    if len(value) > max_length:
        raise InvalidError(
            field,
            _("This is too long: %(length)s characters. Use at most %(most)s.")
            % {"length": len(value), "most": max_length},
        )
    return value
