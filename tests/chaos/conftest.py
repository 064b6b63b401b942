"""A world of its own for each chaos test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.system import World
from tests.chaos.system import world as new_world
from tests.environment import REQUIRED
from tests.support.servers.process import ServerMissing


@pytest.fixture
def world() -> Iterator[World]:
    """PostgreSQL, RabbitMQ and a supervisor of this test alone; skips, or fails where they are required, without
    their programs."""
    with tempfile.TemporaryDirectory(prefix="airy_chaos_") as folder:
        try:
            with new_world(Path(folder)) as made:
                yield made
        except ServerMissing as missing:
            if {"postgres", "rabbitmq"} & REQUIRED:
                pytest.fail(f"AIRY_REQUIRE names postgres or rabbitmq, but {missing}", pytrace=False)
            pytest.skip(f"needs servers of its own: {missing}")
