"""Recovery codes: each lets a person in once who has lost the app."""

from __future__ import annotations

import base64
import hashlib
import secrets
import unicodedata

#: Codes that a person gets at once.
COUNT = 10
#: Characters of a code: 80 bits, in base 32.
LENGTH = 16


def new_codes() -> list[str]:
    """Ten codes, in groups of four letters and digits."""
    codes = [base64.b32encode(secrets.token_bytes(10)).decode() for _ in range(COUNT)]
    return ["-".join(code[at : at + 4] for at in range(0, LENGTH, 4)) for code in codes]


def typed(code: str) -> str:
    """What a person typed, as the codes are written: capitals, and no spaces or dashes."""
    return "".join(one for one in unicodedata.normalize("NFKC", code).upper() if one.isalnum())


def is_recovery_code(code: str) -> bool:
    """Whether a `typed` code has the form of a recovery code; the codes of apps are shorter."""
    return len(code) == LENGTH


def digest_of(code: str) -> str:
    """What is stored of a code: SHA-256, in hexadecimal. 80 bits cannot be guessed, so it needs no slow hash."""
    return hashlib.sha256(typed(code).encode()).hexdigest()
