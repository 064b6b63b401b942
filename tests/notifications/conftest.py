"""Fixtures of the tests of notifications."""

from collections.abc import Iterator

import pytest

from events.models import Delivery
from tests.support.websocket import Server


@pytest.fixture(autouse=True)
def _no_dead_letters(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which a subscriber of notifications made a dead letter, even if its effect is right."""
    yield
    if request.node.get_closest_marker("django_db"):
        dead = Delivery.objects.filter(state="dead", subscriber__startswith="notifications.")
        assert not [f"{letter}: {letter.reason}" for letter in dead]


@pytest.fixture
def server(transactional_db: None) -> Iterator[Server]:
    """The ASGI application on an event loop of its own; it sees committed data."""
    running = Server()
    yield running
    running.stop()
