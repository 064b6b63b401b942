"""Fixtures of the tests of notifications."""

from collections.abc import Iterator

import pytest

from tests.support.no_dead_letters import no_dead_letters_of
from tests.support.websocket import Server

_no_dead_letters = no_dead_letters_of("notifications")


@pytest.fixture
def server(transactional_db: None) -> Iterator[Server]:
    """The ASGI application on an event loop of its own; it sees committed data."""
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of tests that are coroutines (`pytest.mark.anyio`)."""
    return "asyncio"
