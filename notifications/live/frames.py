"""Frames: the JSON objects that go through a socket, parsed and built."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from django.http import HttpRequest
from django.utils import translation

from notifications.notices import wording

#: Bytes of a client's frame above which it is refused.
LARGEST_FRAME = 4096
#: The largest number that the database can hold.
LARGEST_NUMBER = 2**63 - 1


class MalformedFrameError(Exception):
    """A frame that does not follow the protocol. `code`: the code of the error frame that answers it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class FrameRate:
    """A limit on the frames of one socket: `most` in SECONDS."""

    SECONDS = 10.0

    def __init__(self, most: int) -> None:
        self._times: deque[float] = deque(maxlen=most)

    def allows(self) -> bool:
        """Count one frame; False, and not counted, if the limit is reached."""
        now = time.monotonic()
        if len(self._times) == self._times.maxlen and now - self._times[0] < self.SECONDS:
            return False
        self._times.append(now)
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
    value = frame.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_NUMBER:
        raise MalformedFrameError("bad_op")
    return value


def language_of(scope: Mapping[str, Any]) -> str:
    """The language in which pages are shown to this client, from its cookies and headers."""
    headers = {name.decode("latin1").lower(): value.decode("latin1") for name, value in scope["headers"]}
    meta = {"HTTP_ACCEPT_LANGUAGE": headers.get("accept-language", "")}
    request = cast(HttpRequest, SimpleNamespace(COOKIES=scope["cookies"], META=meta))
    return translation.get_language_from_request(request)


def note(notice: Mapping[str, Any], *, language: str) -> dict[str, Any]:
    """The fields of a note: a notice as `push.hints.as_dict` gives it, with its text in a language and its link."""
    kind, data = notice["kind"], notice["data"]
    with translation.override(language):
        text = wording.text(kind, data)
    shown = {name: notice[name] for name in ("id", "kind", "data", "read", "created_at")}
    return shown | {"text": text, "link": wording.link(kind, data)}
