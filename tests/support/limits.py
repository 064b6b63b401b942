"""Limited: the limits are on, with rates of a test's own, and nothing is counted yet."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_django import Settings

from airy.environment import read_rates
from airy.gate.refused import refused
from feeds.limits import counting
from feeds.limits.local import LocalCounts
from feeds.limits.remembered import RememberedKeys

#: limited(READ="5/60"): these rates, and all others so high that a test does not meet them.
Limited = Callable[..., None]
NAMES = (
    "ADDRESS", "HANDSHAKES", "READ", "WRITE", "VISIT", "REGISTRATIONS", "LETTERS", "FORGOTTEN", "EXPORTS",
    "TRIES_BY_ADDRESS", "TRIES_BY_ACCOUNT", "TRIES_BY_PAIR",
)  # fmt: skip


@pytest.fixture
def limited(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Limited:
    """Turn the limits on, counted in this process."""

    def turn_on(**rates: str) -> None:
        settings.RATE_LIMITS = True
        settings.REDIS_URL = ""
        settings.REFUSAL_SECONDS = 0
        monkeypatch.setattr(counting, "_local", LocalCounts())
        monkeypatch.setattr(counting, "_remembered", RememberedKeys())
        monkeypatch.setattr(refused, "_until", RememberedKeys())
        for name in NAMES:
            setattr(settings, f"LIMIT_{name}", read_rates(f"NO_{name}", rates.pop(name, "1000000/1")))
        assert not rates

    return turn_on
