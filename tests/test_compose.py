"""docker-compose.yml: its structure, and the commands in it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from events.models import Process
from tests.conformance.processes import Manage

COMPOSE: dict[str, Any] = yaml.safe_load((Path(settings.BASE_DIR) / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_every_service_it_promises_is_there_and_waits_for_what_it_needs() -> None:
    assert {"postgres", "rabbitmq", "redis", "web", "worker"} <= SERVICES.keys()
    for name, service in SERVICES.items():
        assert "image" in service or "build" in service, name
        for needed, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            assert needed in SERVICES
            assert condition != "service_healthy" or "healthcheck" in SERVICES[needed], needed
        for mounted in service.get("volumes", []):
            assert mounted.split(":")[0] in COMPOSE["volumes"]


def test_each_major_version_of_rabbitmq_has_a_volume_of_its_own() -> None:
    """A server does not start on the files of one some versions before it."""
    major = SERVICES["rabbitmq"]["image"].partition(":")[2].partition("-")[0]
    assert [mounted.partition(":")[0] for mounted in SERVICES["rabbitmq"]["volumes"]] == [f"rabbitmq{major}"]


def test_it_sets_only_what_the_settings_read() -> None:
    read = "".join((Path(settings.BASE_DIR) / "airy" / name).read_text() for name in ("settings.py", "environment.py"))
    for name in SERVICES["web"]["environment"]:
        assert re.search(rf'"{name}"', read), name


@pytest.mark.postgres
@pytest.mark.rabbitmq
@pytest.mark.redis
def test_its_commands_run(manage: Manage, eventually: Callable[..., None]) -> None:
    def run(service: str, **replaced: str) -> subprocess.Popen:
        words = [replaced.get(word, word) for word in SERVICES[service]["command"]]
        if words[:2] == ["python", "manage.py"]:
            return manage(*words[2:])
        return manage.start(sys.executable, "-m", *words)

    assert run("migrate").wait(60) == 0

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    run("web", **{"0.0.0.0": "127.0.0.1", "8000": port})

    def answers() -> bool:
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").status == 200
        except OSError:
            return False

    eventually(answers, within=60)
    run("worker")
    eventually(lambda: Process.objects.alive().filter(kind="worker").count() == 2, within=60)
