"""Signature: the proof that a message comes from this installation, over its bytes and the way that it was sent.

A header of the message, so that the bytes stay plain CloudEvents and any language can publish, as itself:

    airy-signature: v1:<key id>:<HMAC-SHA256, base64>

A signature holds for one body, one route (routing key or queue), one run, one attempt and one priority. `source` and
the keys are settings: every process of an installation has the same.
"""

from __future__ import annotations

import hmac
from binascii import b2a_base64
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from struct import Struct
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

#: The name of the header.
HEADER = "airy-signature"
_SCHEME = "v1"
#: What a setting's text is turned into a key with: the same text serves other purposes elsewhere.
_SALT = b"events.signature"
#: The scheme, run, attempt, priority and the length of the route: no two messages have the same input.
_HEAD = Struct(">2sIIII")


class Key(NamedTuple):
    """A key, and the beginning of its signatures, which tells it from the others.

    inner, outer: the key as HMAC-SHA256 puts it before its two inputs. `hmac.digest` prepares them for each message
    anew, which takes longer than the rest.
    """

    prefix: str
    inner: bytes
    outer: bytes


def signed_headers(body: bytes, *, route: str, run: int, attempt: int, priority: int) -> dict[str, Any]:
    """The headers of a message of ours, with its signature.

    route: the topic of what goes to every subscriber, else the queue's name.
    """
    key = signing_keys()[0]
    return {"run": run, "attempt": attempt, HEADER: _signature(key, body, route, run, attempt, priority)}


def is_valid(signature: object, body: bytes, *, route: str, run: int, attempt: int, priority: int) -> bool:
    """Whether one of the keys has signed exactly this message."""
    if not isinstance(signature, str) or not signature.isascii():
        return False
    for key in signing_keys():
        if signature.startswith(key.prefix):
            return hmac.compare_digest(_signature(key, body, route, run, attempt, priority), signature)
    return False


@cache
def signing_keys() -> tuple[Key, ...]:
    """The keys: the first one signs, each of them is valid.

    EVENTS_SIGNING_KEYS, or without it SECRET_KEY and SECRET_KEY_FALLBACKS. Raises ImproperlyConfigured.
    """
    texts = getattr(settings, "EVENTS_SIGNING_KEYS", None) or (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    if isinstance(texts, (str, bytes, Mapping)) or not all(isinstance(text, (str, bytes)) and text for text in texts):
        raise ImproperlyConfigured(
            'EVENTS_SIGNING_KEYS must be a list of texts that are not empty, for example ["new key", "old key"]'
        )
    return tuple(map(_key, texts))


def _key(text: str | bytes) -> Key:
    secret = hmac.digest(text.encode() if isinstance(text, str) else text, _SALT, "sha256")
    name = hmac.digest(secret, b"name", "sha256")[:4].hex()
    block = secret.ljust(64, b"\0")
    return Key(f"{_SCHEME}:{name}:", bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block))


def _signature(key: Key, body: bytes, route: str, run: int, attempt: int, priority: int) -> str:
    name = route.encode()
    head = _HEAD.pack(b"v1", run, attempt, priority, len(name))
    inner = sha256(b"".join((key.inner, head, name, body))).digest()
    digest = b2a_base64(sha256(key.outer + inner).digest(), newline=False)
    return key.prefix + digest.decode()


def _forget_keys(**kwargs: Any) -> None:
    signing_keys.cache_clear()


setting_changed.connect(_forget_keys)
