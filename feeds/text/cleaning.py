"""Cleaning: check and normalize the text that people write, before it is stored."""

from __future__ import annotations

import re
import unicodedata

from django.utils.translation import gettext as _

from feeds.errors import InvalidError
from feeds.text.visible import MAX_MARKS, has_towers, shows_something, without_blanks

#: NUL, which PostgreSQL refuses, and halves of surrogate pairs, which UTF-8 cannot encode.
NOT_TEXT = re.compile("[\0\ud800-\udfff]")

#: Controls without a meaning in a text, which whoever pasted them cannot see; and those that change the direction.
CONTROLS = re.compile("[\x01-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ufff9-\ufffb]")
DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def is_text(value: str) -> bool:
    """Whether every database accepts the value and UTF-8 can encode it."""
    return not NOT_TEXT.search(value)


def require_text(value: str, *, field: str) -> str:
    """The value, unchanged. Raises InvalidError for the field unless `is_text`."""
    if not is_text(value):
        raise InvalidError(field, _("This contains invalid characters. Remove them and try again."))
    return value


def clean_line(value: str, *, field: str, max_length: int, blank: bool = False) -> str:
    """One line of text, in NFC: runs of white space, and letters without a visible form, become one space; controls and
    changes of direction go.

    max_length: in characters, after cleaning. blank: whether it may be empty. Raises InvalidError for the field, also
    for a line that shows nothing, or too many marks on a letter.
    """
    line = DIRECTIONS.sub("", CONTROLS.sub("", " ".join(require_text(value, field=field).split())))
    line = unicodedata.normalize("NFC", " ".join(without_blanks(line).split()))
    return _checked(line, field=field, max_length=max_length, blank=blank)


def clean_text(value: str, *, field: str, max_length: int, blank: bool = False) -> str:
    """Text of many lines: line ends become \\n, controls go, white space at the end goes.

    max_length: in characters, after cleaning. blank: whether it may be empty; then a text that shows nothing becomes
    empty. Raises InvalidError for the field, also for a text that shows nothing, or too many marks on a letter.
    """
    text = require_text(value, field=field).replace("\r\n", "\n").replace("\r", "\n")
    text = CONTROLS.sub("", text).rstrip()
    text = "" if blank and not shows_something(text) else text
    return _checked(text, field=field, max_length=max_length, blank=blank)


def _checked(value: str, *, field: str, max_length: int, blank: bool) -> str:
    if not value.strip() and not blank:
        raise InvalidError(field, _("This must not be empty."))
    if value and not shows_something(value):
        raise InvalidError(field, _("This has only characters that nobody can see. Write something visible."))
    if has_towers(value):
        raise InvalidError(field, _("Use at most %(most)s accents on one letter.") % {"most": MAX_MARKS})
    if len(value) > max_length:
        raise InvalidError(
            field,
            _("This is too long: %(length)s characters. Use at most %(most)s.")
            % {"length": len(value), "most": max_length},
        )
    return value
