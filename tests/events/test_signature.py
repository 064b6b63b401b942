"""Signature: which keys there are, and what a signature holds for."""

from __future__ import annotations

import base64
import hmac
import itertools
import struct
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from events.signature import HEADER, is_valid, signed_headers, signing_keys


def sign(body: bytes, **how: Any) -> str:
    return str(signed_headers(body, **how)[HEADER])


MESSAGE: dict[str, Any] = {"route": "bell.rang", "run": 1, "attempt": 2, "priority": 3}


def test_a_signature_holds_for_one_body_route_run_attempt_and_priority() -> None:
    signature = sign(b"body", **MESSAGE)
    assert is_valid(signature, b"body", **MESSAGE)
    for change in ({"route": "airy.effects.alone"}, {"run": 2}, {"attempt": 1}, {"priority": 9}):
        assert not is_valid(signature, b"body", **MESSAGE | change), change
    assert not is_valid(signature, b"body ", **MESSAGE)
    assert not is_valid(signature[:-2] + "A=", b"body", **MESSAGE)
    for no_signature in ("", "v1", "v1::", "v2" + signature[2:], b"v1:a:b", 7, None, "v1:ü:ü", "a:b:c:d"):
        assert not is_valid(no_signature, b"body", **MESSAGE), no_signature


def test_no_two_messages_are_signed_as_one() -> None:
    messages = [
        (body, {"route": route, "run": run, "attempt": attempt, "priority": priority})
        for body, route in ((b"ab", "c"), (b"b", "ca"), (b"", "cab"), (b"cab", ""))
        for run, attempt, priority in itertools.product((0, 1, 256), repeat=3)
    ]
    assert len({sign(body, **how) for body, how in messages}) == len(messages)


def test_it_is_an_hmac_that_any_language_can_compute(settings: Any) -> None:
    settings.EVENTS_SIGNING_KEYS = ["key"]
    key = hmac.digest(b"key", b"events.signature", "sha256")
    fields = struct.pack(">2sIIII", b"v1", 1, 2, 3, 9) + b"bell.rang"
    expected = base64.b64encode(hmac.digest(key, fields + b"body", "sha256")).decode()
    assert sign(b"body", **MESSAGE).split(":")[2] == expected


def test_keys_rotate_without_refusing_what_is_under_way(settings: Any) -> None:
    settings.EVENTS_SIGNING_KEYS = ["old"]
    under_way = sign(b"body", **MESSAGE)
    settings.EVENTS_SIGNING_KEYS = ["new", "old"]
    assert is_valid(under_way, b"body", **MESSAGE)
    assert sign(b"body", **MESSAGE) != under_way
    settings.EVENTS_SIGNING_KEYS = ["new"]
    assert not is_valid(under_way, b"body", **MESSAGE)


def test_without_keys_of_its_own_it_is_djangos_that_are_never_used_as_they_are(settings: Any) -> None:
    settings.EVENTS_SIGNING_KEYS = []
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "old", []
    under_way = sign(b"body", **MESSAGE)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    assert is_valid(under_way, b"body", **MESSAGE)
    block = bytes(byte ^ 0x36 for byte in signing_keys()[0].inner).rstrip(b"\0")
    assert block != b"new"
    assert len({key.prefix for key in signing_keys()}) == 2


def test_keys_that_are_no_list_of_texts_are_refused(settings: Any) -> None:
    for wrong in ("one text", [""], [None], ["a", 7]):
        settings.EVENTS_SIGNING_KEYS = wrong
        with pytest.raises(ImproperlyConfigured, match="EVENTS_SIGNING_KEYS must be a list of texts"):
            signing_keys()
