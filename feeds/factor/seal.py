"""Seal: encrypt the secret of a factor, so that a copy of the database alone shows no code; and the address of a letter
that is to be sent, so that the log of events shows none.

Fernet (AES-128 and HMAC-SHA256) with keys from SECRET_KEY and SECRET_KEY_FALLBACKS. The package is loaded when it is
needed first, since it takes as long as a tenth of the start.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.crypto import salted_hmac

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


class BrokenSealError(Exception):
    """The text was sealed with a key that is no longer in the settings, or changed since."""


def seal(text: str) -> str:
    """The text, encrypted with SECRET_KEY."""
    return _keys().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """The text that was sealed. Raises BrokenSealError."""
    from cryptography.fernet import InvalidToken

    try:
        return _keys().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise BrokenSealError from None


def _keys() -> MultiFernet:
    from cryptography.fernet import Fernet, MultiFernet

    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [salted_hmac("feeds.factor.seal", "key", secret=key, algorithm="sha256").digest() for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
