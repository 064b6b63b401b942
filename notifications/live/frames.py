"""Frames: what goes through a socket, parsed and built."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from django.http import HttpRequest
from django.utils import translation

from notifications import kinds

#: Bytes that a client's frame may have.
LARGEST = 4096
#: The largest number that the database can hold.
MOST = 2**63 - 1


class Malformed(Exception):
    """A frame that is none of ours; `code` says why, in the words of the protocol."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Rate:
    """So many frames in ten seconds."""

    SECONDS = 10.0

    def __init__(self, most: int) -> None:
        self._times: deque[float] = deque(maxlen=most)

    def allows(self) -> bool:
        """Count one more frame, if there is room for it."""
        now = time.monotonic()
        if len(self._times) == self._times.maxlen and now - self._times[0] < self.SECONDS:
            return False
        self._times.append(now)
        return True


def parse(text: str | None) -> dict[str, Any]:
    """A frame with its op. Raises Malformed."""
    if text is None:
        raise Malformed("bad_json")
    if len(text.encode()) > LARGEST:
        raise Malformed("too_large")
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("bad_json") from None
    if not isinstance(frame, dict) or not isinstance(frame.get("op"), str):
        raise Malformed("bad_json")
    return frame


def number(frame: Mapping[str, Any], name: str) -> int:
    """A whole number of a frame. Raises Malformed."""
    value = frame.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise Malformed("bad_op")
    return value


def language_of(scope: Mapping[str, Any]) -> str:
    """The language that pages are in for this client."""
    headers = {name.decode("latin1").lower(): value.decode("latin1") for name, value in scope["headers"]}
    meta = {"HTTP_ACCEPT_LANGUAGE": headers.get("accept-language", "")}
    request = cast(HttpRequest, SimpleNamespace(COOKIES=scope["cookies"], META=meta))
    return translation.get_language_from_request(request)


def note(notice: Mapping[str, Any], *, language: str) -> dict[str, Any]:
    """A notice as the client shows it."""
    kind, data = notice["kind"], notice["data"]
    with translation.override(language):
        text = kinds.text(kind, data)
    shown = {name: notice[name] for name in ("id", "kind", "data", "read", "created_at")}
    return shown | {"text": text, "link": kinds.link(kind, data)}
