"""Outgoing frames: their bytes are what the protocol of websockets says."""

from __future__ import annotations

import json

import pytest
from websockets.frames import Frame, Opcode

from notifications.live.outgoing import Outgoing, encode, note

pytestmark = pytest.mark.home


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_the_bytes_are_those_of_one_message_of_text(size: int) -> None:
    frame = Outgoing("x" * size)
    assert frame.wire == Frame(Opcode.TEXT, b"x" * size).serialize(mask=False)
    assert frame.wire is frame.wire


def test_the_size_is_that_of_the_bytes_and_not_of_the_characters() -> None:
    text = "雨" * 100
    assert Outgoing(text).wire == Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


@pytest.mark.parametrize("read", [True, False])
def test_a_note_is_whole_json_whatever_its_data_say(read: bool) -> None:
    data = {"names": ['quo"te', "back\\slash", "line\nbreak", "雨"], "count": 2, "at": None}
    notice = {"id": 7, "kind": "follow", "data": data, "read": read, "created_at": "2026-01-02T03:04:05+00:00",
              "withdrawn": False}  # fmt: skip
    text = note(notice, seq=3, unread=2, language="en")
    frame = json.loads(text)
    assert {name: frame[name] for name in ("op", "seq", "unread", "id", "read", "created_at", "kind", "data")} == {
        "op": "note", "seq": 3, "unread": 2, "id": 7, "read": read, "created_at": "2026-01-02T03:04:05+00:00",
        "kind": "follow", "data": data,
    }  # fmt: skip
    assert text == encode(frame)
