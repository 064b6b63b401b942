"""No dead letters: a fixture that fails a test in which a subscriber of an app gave up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from events.models import Delivery


def no_dead_letters_of(app: str) -> Any:
    """An autouse fixture: a dead letter of the app fails the test, even if the effect looks right."""

    @pytest.fixture(autouse=True)
    def no_dead_letters(request: pytest.FixtureRequest) -> Iterator[None]:
        yield
        if request.node.get_closest_marker("django_db"):
            dead = Delivery.objects.filter(state="dead", subscriber__startswith=f"{app}.")
            assert not [f"{letter}: {letter.reason}" for letter in dead]

    return no_dead_letters
