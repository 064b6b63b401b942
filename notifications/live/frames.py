"""Frames: the JSON objects that go through a socket, parsed and built."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, cast

import msgpack
from django.http import HttpRequest, parse_cookie
from django.utils import translation

from feeds.text.cleaning import is_text
from notifications.notices import wording

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


def encode(frame: Mapping[str, Any]) -> str:
    """The text of a frame."""
    return _encode(frame)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
#: The fields of a note that are its own, the start of its text. They are numbers and a time: nothing to escape.
OWN = '{"op":"note","seq":%d,"unread":%d,"id":%d,"read":%s,"created_at":"%s",'


def note(notice: Mapping[str, Any], *, seq: int, unread: int, language: str) -> str:
    """The text of a note, or of gone for a withdrawn notice: a notice as `push.hints.as_dict` gives it."""
    if notice["withdrawn"]:
        return _encode({"op": "gone", "seq": seq, "id": notice["id"], "unread": unread})
    own = OWN % (seq, unread, notice["id"], "true" if notice["read"] else "false", notice["created_at"])
    return own + _content(notice["kind"], msgpack.packb(notice["data"]), language)


@lru_cache(maxsize=1024)
def _content(kind: str, data: bytes, language: str) -> str:
    """The end of a note's text: the fields that are the same for all who are told the same. `data` comes packed."""
    values = msgpack.unpackb(data)
    with translation.override(language):
        text, link = wording.text(kind, values), wording.link(kind, values)
    return _encode({"kind": kind, "data": values, "text": text, "link": link})[1:]
