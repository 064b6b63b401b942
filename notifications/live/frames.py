"""Frames: the JSON objects that a client sends, parsed; and what its handshake says."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from django.http import HttpRequest, parse_cookie
from django.utils import translation

from feeds.text.cleaning import is_text

#: Bytes of a client's frame above which it is refused.
LARGEST_FRAME = 4096
#: The largest number that the database can hold.
LARGEST_NUMBER = 2**63 - 1
#: Numbers in one list of a frame.
MOST_NUMBERS = 100
#: Characters of an `id`.
LONGEST_ID = 64


class MalformedFrameError(Exception):
    """A frame that does not follow the protocol. `code`: the code of the error frame that answers it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class FrameRate:
    """A limit on the frames of one socket: `most` in SECONDS, refilled evenly (GCRA)."""

    SECONDS = 10.0
    __slots__ = ("_due", "_most")

    def __init__(self, most: int) -> None:
        self._most, self._due = most, 0.0

    def allows(self) -> bool:
        """Count one frame; False, and not counted, if the limit is reached."""
        now, each = time.monotonic(), self.SECONDS / self._most
        due = max(self._due, now) + each
        if due > now + self.SECONDS:
            return False
        self._due = due
        return True


def parse(text: str | None) -> dict[str, Any]:
    """A frame with its `op`; `text` is None for a binary frame. Raises MalformedFrameError."""
    if text is None:
        raise MalformedFrameError("bad_json")
    if len(text.encode()) > LARGEST_FRAME:
        raise MalformedFrameError("too_large")
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedFrameError("bad_json") from None
    if not isinstance(frame, dict) or not isinstance(frame.get("op"), str):
        raise MalformedFrameError("bad_json")
    return frame


def number(frame: Mapping[str, Any], name: str) -> int:
    """A whole number of a frame. Raises MalformedFrameError."""
    return _number(frame.get(name))


def numbers(frame: Mapping[str, Any], name: str) -> list[int]:
    """A list of whole numbers of a frame. Raises MalformedFrameError."""
    values = frame.get(name)
    if not isinstance(values, list) or len(values) > MOST_NUMBERS:
        raise MalformedFrameError("bad_op")
    return list(map(_number, values))


def answer_id(frame: Mapping[str, Any]) -> int | str | None:
    """The `id` of a frame, which its answer repeats: a whole number, or text of at most LONGEST_ID characters. None for
    a frame without one, and for anything else."""
    match frame.get("id"):
        case bool():
            return None
        case int(value) if abs(value) <= LARGEST_NUMBER:
            return value
        case str(value) if len(value) <= LONGEST_ID and is_text(value):
            return value
    return None


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_NUMBER:
        raise MalformedFrameError("bad_op")
    return value


def header(scope: Mapping[str, Any], name: bytes) -> str:
    """The value of a header of the handshake; empty without it."""
    return b"; ".join(value for key, value in scope["headers"] if key.lower() == name).decode("latin1")


def cookies(scope: Mapping[str, Any]) -> dict[str, str]:
    """The cookies of the handshake."""
    return parse_cookie(header(scope, b"cookie"))


def language_of(scope: Mapping[str, Any]) -> str:
    """The language in which pages are shown to this client, from its cookies and headers."""
    meta = {"HTTP_ACCEPT_LANGUAGE": header(scope, b"accept-language")}
    request = cast(HttpRequest, SimpleNamespace(COOKIES=cookies(scope), META=meta))
    return translation.get_language_from_request(request)
