"""A system of its own for each chaos test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.system import System
from tests.chaos.system import system as new_system
from tests.environment import REQUIRED
from tests.support.servers.process import ServerMissingError


@pytest.fixture
def system() -> Iterator[System]:
    """PostgreSQL, RabbitMQ and a supervisor of this test alone; skips, or fails where they are required, without
    their programs."""
    with tempfile.TemporaryDirectory(prefix="airy_chaos_") as folder:
        try:
            with new_system(Path(folder)) as made:
                yield made
        except ServerMissingError as missing:
            if {"postgres", "rabbitmq"} & REQUIRED:
                pytest.fail(f"AIRY_REQUIRE names postgres or rabbitmq, but {missing}", pytrace=False)
            pytest.skip(f"needs servers of its own: {missing}")
