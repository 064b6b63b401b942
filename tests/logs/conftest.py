"""Fixtures of the tests of logs."""

from collections.abc import Iterator

import pytest

from tests.support.websocket import Server


@pytest.fixture
def server(transactional_db: None) -> Iterator[Server]:
    """The ASGI application on an event loop of its own; it sees committed data."""
    running = Server()
    yield running
    running.stop()
