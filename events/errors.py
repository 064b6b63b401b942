"""Errors: an exception as text, whatever its own methods do.

`repr()` and `str()` of an exception are somebody else's code. They may raise, return no text, or a gigabyte of it. An
outcome must not depend on them.
"""

from __future__ import annotations

import traceback

#: Characters of a summary, at most.
SUMMARY = 500
#: Characters of a traceback, at most: the beginning and the end are kept.
TRACEBACK = 100_000


def summary(error: BaseException) -> str:
    """The type and the message, in one short text."""
    try:
        lines = traceback.format_exception_only(error)
    except Exception as broken:  # noqa: BLE001 - whatever the error's own methods raise
        lines = [_unprintable(error, broken)]
    return _storable("".join(lines)).strip()[:SUMMARY]


def with_traceback(error: BaseException) -> str:
    """The traceback with all causes."""
    try:
        lines = traceback.format_exception(error)
    except Exception as broken:  # noqa: BLE001 - whatever the error's own methods raise
        lines = ["".join(traceback.format_tb(error.__traceback__)), _unprintable(error, broken)]
    text = _storable("".join(lines))
    if len(text) <= TRACEBACK:
        return text
    return f"{text[: TRACEBACK // 2]}\n… {len(text) - TRACEBACK:,} characters …\n{text[-TRACEBACK // 2 :]}"


def _unprintable(error: BaseException, broken: Exception) -> str:
    return f"{type.__repr__(type(error))} (it cannot be printed: {type(broken).__name__})"


def _storable(text: str) -> str:
    """Without the characters that PostgreSQL cannot store."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
