"""What every test may use, and what becomes of tests whose service is missing."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings

from tests.environment import MISSING, REQUIRED, SERVICES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a missing service skip with the reason, or fail if the service is required."""
    for item in items:
        for service, why in MISSING.items():
            if item.get_closest_marker(service) and service not in REQUIRED:
                item.add_marker(pytest.mark.skip(reason=f"needs {service}: {why}"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for service in REQUIRED & MISSING.keys():
        if item.get_closest_marker(service):
            pytest.fail(f"AIRY_REQUIRE names {service}, but {MISSING[service]}", pytrace=False)


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


@pytest.fixture(scope="session")
def vhost() -> Iterator[str]:
    """This run's own RabbitMQ vhost, removed at the end."""
    name = settings.MQ_VHOST
    rabbitmqctl("add_vhost", name)
    rabbitmqctl("set_permissions", "-p", name, settings.MQ_USER, ".*", ".*", ".*")
    yield name
    rabbitmqctl("delete_vhost", name)


def rabbitmqctl(*arguments: str) -> str:
    """Run rabbitmqctl; raises CalledProcessError with its words."""
    return subprocess.run(("rabbitmqctl", "-q", *arguments), check=True, capture_output=True, text=True).stdout


__all__ = ["SERVICES", "rabbitmqctl"]
