"""Fixtures: a Redis of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.process import ServerMissingError
from tests.support.servers.redis import RedisServer, running_redis


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may kill; skips where there is none."""
    try:
        with running_redis(tmp_path) as server:
            yield server
    except ServerMissingError as missing:
        pytest.skip(str(missing))
