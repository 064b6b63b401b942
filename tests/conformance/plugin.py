"""Plugin: the fixtures of the suite that other tests use, too, and its table of results.

A project that copies the suite names this module in `pytest_plugins` of its conftest.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.conformance.processes import Manage
from tests.conformance.rabbitmq import Server, new_vhost, remove_queues
from tests.conformance.results import pytest_terminal_summary  # noqa: F401 - a hook


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait until a condition holds: `eventually(lambda: …, within=20)`; fails when time is up."""

    def wait(condition: Callable[[], object], *, within: float = 20.0) -> None:
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {within} s")
            time.sleep(0.02)

    return wait


@pytest.fixture
def manage(transactional_db: None, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manage]:
    """`manage.py` in other processes, on committed data."""
    if settings.AIRY_BROKER == "rabbitmq":
        request.getfixturevalue("vhost")
        remove_queues()  # with what earlier tests left in them
    started = Manage(tmp_path)
    try:
        yield started
    finally:
        print(started.log()[-5000:])  # noqa: T201 - beside what failed
        started.stop()
        if settings.AIRY_BROKER == "rabbitmq":
            remove_queues()


@pytest.fixture(scope="session")
def vhost() -> Iterator[str]:
    """This run's own RabbitMQ vhost, removed at the end."""
    with new_vhost(settings.MQ_VHOST) as name:
        yield name


@pytest.fixture(scope="session")
def rabbitmq4() -> Server:
    """A RabbitMQ 4 of the run's own. A project that can start one overrides this fixture."""
    pytest.skip("this run has no way to start a RabbitMQ 4")
