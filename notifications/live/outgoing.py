"""Outgoing: the frames that go to clients, each made once however many get it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgpack
from django.utils import translation

from notifications.notices import wording

#: The text of a frame.
encode: Callable[[Mapping[str, Any]], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
#: The first byte of a message of text that is one frame.
TEXT = 0x81


class Outgoing:
    """A frame for clients: its text, and the bytes by which it goes out, made once however many get it."""

    __slots__ = ("_wire", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._wire: bytes | None = None

    @property
    def wire(self) -> bytes:
        """A whole message of text, not masked (RFC 6455, section 5.2)."""
        if self._wire is None:
            data = self.text.encode()
            size = len(data)
            if size < 126:
                head = struct.pack("!BB", TEXT, size)
            elif size < 1 << 16:
                head = struct.pack("!BBH", TEXT, 126, size)
            else:
                head = struct.pack("!BBQ", TEXT, 127, size)
            self._wire = head + data
        return self._wire


#: The fields of a note that are its own, the start of its text. They are numbers and a time: nothing to escape.
OWN = '{"op":"note","seq":%d,"unread":%d,"id":%d,"read":%s,"created_at":"%s",'


def note(notice: Mapping[str, Any], *, seq: int, unread: int, language: str) -> str:
    """The text of a note, or of gone for a withdrawn notice: a notice as `push.hints.as_dict` gives it."""
    if notice["withdrawn"]:
        return encode({"op": "gone", "seq": seq, "id": notice["id"], "unread": unread})
    own = OWN % (seq, unread, notice["id"], "true" if notice["read"] else "false", notice["created_at"])
    return own + _content(notice["kind"], msgpack.packb(notice["data"]), language)


@lru_cache(maxsize=1024)
def _content(kind: str, data: bytes, language: str) -> str:
    """The end of a note's text: the fields that are the same for all who are told the same. `data` comes packed."""
    values = msgpack.unpackb(data)
    with translation.override(language):
        text, link = wording.text(kind, values), wording.link(kind, values)
    return encode({"kind": kind, "data": values, "text": text, "link": link})[1:]
