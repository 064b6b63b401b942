"""Codes of the second factor: those of an app by RFC 6238, recovery codes, the seal and the drawing."""

import re
import xml.etree.ElementTree as ET

import pyotp
import pytest

from feeds.factor import qr, recovery
from feeds.factor.seal import BrokenSealError, seal, unseal
from feeds.factor.totp import STEP, address_of, new_secret, step_of

#: The secret of RFC 6238, appendix B, in base 32.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_codes_are_those_of_the_standard(now: int, code: str) -> None:
    assert step_of(code, secret=SECRET, now=now) == now // STEP


def test_a_code_counts_one_step_before_and_after_its_own() -> None:
    step = 40_000_000
    code = pyotp.TOTP(SECRET).generate_otp(step)
    found = {offset: step_of(code, secret=SECRET, now=(step + offset) * STEP) for offset in range(-3, 4)}
    assert found == {-3: None, -2: None, -1: step, 0: step, 1: step, 2: None, 3: None}


@pytest.mark.parametrize("code", ["", "0", "00594", "0059245", "005924 ", "٠٠٥٩٢٤", "\ud800", "x" * 100])
def test_nothing_else_is_a_code(code: str) -> None:
    assert step_of(code, secret=SECRET, now=1234567890) is None


def test_secrets_are_long_and_never_the_same() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(secret) * 5 >= 160 for secret in secrets)


def test_an_app_takes_the_address_in() -> None:
    parsed = pyotp.parse_uri(address_of(SECRET, username="小明"))
    assert (parsed.secret, parsed.name, parsed.issuer) == (SECRET, "小明", "Airy")


def test_the_drawing_is_svg_without_style_or_script() -> None:
    drawing = qr.drawn(address_of(SECRET, username="x" * 30))
    names = {one.tag for one in ET.fromstring(drawing).iter()}
    assert names <= {"svg", "g", "path"}
    assert not re.search(r"style|script|href|on\w+=", drawing)


def test_recovery_codes_are_read_however_they_are_typed() -> None:
    codes = recovery.new_codes()
    assert len(set(codes)) == 10
    for code in codes:
        assert re.fullmatch(r"([A-Z2-7]{4}-){3}[A-Z2-7]{4}", code)
        assert recovery.is_recovery_code(recovery.typed(code))
        for typed in (code.lower(), code.replace("-", ""), f" {code.replace('-', ' ')} ", code.replace("-", "–")):
            assert recovery.digest_of(typed) == recovery.digest_of(code)
    assert not recovery.is_recovery_code("005924")


def test_what_is_sealed_is_read_with_the_keys_of_the_settings_alone(settings) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "first", []
    sealed = seal(SECRET)
    assert SECRET not in sealed
    assert seal(SECRET) != sealed
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "second", ["first"]
    assert unseal(sealed) == SECRET
    settings.SECRET_KEY_FALLBACKS = []
    for broken in (sealed, "", "guess", seal(SECRET)[:-4] + "AAA="):
        with pytest.raises(BrokenSealError):
            unseal(broken)
