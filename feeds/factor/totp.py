"""TOTP: the code that an app shows, a new one every 30 seconds."""

from __future__ import annotations

import pyotp

ISSUER = "Airy"
#: Seconds.
STEP = 30
#: Steps before and after the present one whose codes count: clocks differ, and typing takes time.
WINDOW = 1


def new_secret() -> str:
    """A secret of 160 bits, in base 32, as RFC 4226 recommends."""
    return pyotp.random_base32()


def address_of(secret: str, *, username: str) -> str:
    """The otpauth:// address by which an app takes the secret in."""
    return pyotp.TOTP(secret, name=username, issuer=ISSUER).provisioning_uri()


def step_of(code: str, *, secret: str, now: float) -> int | None:
    """The number of the step whose code this is, among the present one and its neighbours; None for a wrong code.

    All are compared, each in constant time. now: seconds since 1970.
    """
    if not (code.isascii() and code.isdigit()):
        return None
    totp = pyotp.TOTP(secret)
    present = int(now) // STEP
    found = None
    for step in range(max(present - WINDOW, 0), present + WINDOW + 1):
        if pyotp.utils.strings_equal(totp.generate_otp(step), code):
            found = step
    return found
