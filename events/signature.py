"""Signature: the proof that a message comes from this installation, over its bytes and the way that it was sent.

A header of the message, so that the bytes stay plain CloudEvents and any language can publish, as itself:

    airy-signature: v1:<key id>:<HMAC-SHA256, base64>

A signature holds for one body, one route (routing key or queue), one run, one attempt and one priority. `source` and
the keys are settings: every process of an installation has the same.
"""

from __future__ import annotations

import hmac
import struct
from base64 import b64encode
from functools import cache
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

#: The name of the header.
HEADER = "airy-signature"
_SCHEME = "v1"
#: What a setting's text is turned into a key with: the same text serves other purposes elsewhere.
_SALT = b"events.signature"


class Key(NamedTuple):
    """A key, and the name that tells it from the others."""

    name: str
    secret: bytes


def sign(body: bytes, *, route: str, run: int, attempt: int, priority: int) -> str:
    """The signature of a message. route: the topic of what goes to every subscriber, else the queue's name."""
    return _signature(signing_keys()[0], body, route, run, attempt, priority)


def is_valid(signature: object, body: bytes, *, route: str, run: int, attempt: int, priority: int) -> bool:
    """Whether one of the keys has signed exactly this message."""
    parts = signature.split(":") if isinstance(signature, str) else ()
    if len(parts) != 3:
        return False
    return any(
        hmac.compare_digest(
            _signature(key, body, route, run, attempt, priority).encode(), str(signature).encode(errors="replace")
        )
        for key in signing_keys()
        if key.name == parts[1]
    )


def signing_keys() -> tuple[Key, ...]:
    """The keys: the first one signs, each of them is valid.

    EVENTS_SIGNING_KEYS, or without it SECRET_KEY and SECRET_KEY_FALLBACKS. Raises ImproperlyConfigured.
    """
    texts = getattr(settings, "EVENTS_SIGNING_KEYS", None) or (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    if isinstance(texts, str) or not all(isinstance(text, (str, bytes)) and text for text in texts):
        raise ImproperlyConfigured(
            'EVENTS_SIGNING_KEYS must be a list of texts that are not empty, for example ["new key", "old key"]'
        )
    return tuple(map(_key, texts))


@cache
def _key(text: str | bytes) -> Key:
    secret = hmac.digest(text.encode() if isinstance(text, str) else text, _SALT, "sha256")
    return Key(hmac.digest(secret, b"name", "sha256")[:4].hex(), secret)


def _signature(key: Key, body: bytes, route: str, run: int, attempt: int, priority: int) -> str:
    """Each field has a fixed length, or its length before it: no two messages have the same input."""
    name = route.encode(errors="surrogatepass")
    head = struct.pack(">2sIIII", _SCHEME.encode(), run, attempt, priority, len(name))
    digest = hmac.digest(key.secret, head + name + body, "sha256")
    return f"{_SCHEME}:{key.name}:{b64encode(digest).decode()}"
