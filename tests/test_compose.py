"""docker-compose.yml: its structure, and the commands in it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from django.conf import settings

from airy.environment import KEY_LENGTH
from events.models import Process
from events.passwords import why_weak
from tests.conformance.processes import Manage

COMPOSE: dict[str, Any] = yaml.safe_load((Path(settings.BASE_DIR) / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
#: Settings of production, under which a health check that goes through redirects and hosts would fail.
HARD = {"SECURE_SSL_REDIRECT": "on", "SECURE_HSTS_SECONDS": "31536000", "ALLOWED_HOSTS": "airy.example"}


def test_every_service_it_promises_is_there_and_waits_for_what_it_needs() -> None:
    assert {"postgres", "rabbitmq", "redis", "web", "worker"} <= SERVICES.keys()
    for name, service in SERVICES.items():
        assert "image" in service or "build" in service, name
        for needed, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            assert needed in SERVICES
            assert condition != "service_healthy" or "healthcheck" in SERVICES[needed], needed
        for mounted in service.get("volumes", []):
            source = mounted.split(":")[0]
            assert source in COMPOSE["volumes"] or (Path(settings.BASE_DIR) / source).is_file()


def test_each_major_version_of_rabbitmq_has_a_volume_of_its_own() -> None:
    """A server does not start on the files of one some versions before it."""
    major = SERVICES["rabbitmq"]["image"].partition(":")[2].partition("-")[0]
    assert [mounted.partition(":")[0] for mounted in SERVICES["rabbitmq"]["volumes"]] == [f"rabbitmq{major}"]


def test_no_password_has_a_default_and_every_setting_can_be_given() -> None:
    text = (Path(settings.BASE_DIR) / "docker-compose.yml").read_text()
    assert not re.search(r"\$\{\w*(PASSWORD|KEY)\w*:-", text)
    for service in SERVICES.values():
        assert "build" not in service or service["env_file"] == [{"path": ".env", "required": False}]


def test_new_secrets_are_all_that_it_asks_for_and_each_is_strong() -> None:
    root = Path(settings.BASE_DIR)
    asked = set(re.findall(r"\$\{(\w+):\?", (root / "docker-compose.yml").read_text()))
    made = subprocess.run(
        (sys.executable, "deploy/new_secrets.py"), cwd=root, capture_output=True, text=True, check=True
    )
    lines = dict(line.split("=", 1) for line in made.stdout.splitlines())
    assert lines.keys() == asked
    assert len(lines["SECRET_KEY"]) >= KEY_LENGTH
    assert not [name for name, secret in lines.items() if why_weak(secret) or quote(secret, safe="") != secret]


def test_every_service_is_bounded_and_ends_in_order() -> None:
    for name, service in SERVICES.items():
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert name == "migrate" or (service["restart"] == "unless-stopped" and service["mem_limit"]), name
    for name in ("web", "worker"):
        assert "healthcheck" in SERVICES[name]
        assert "stop_grace_period" in SERVICES[name]
        assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_it_sets_only_what_the_settings_read() -> None:
    read = "".join((Path(settings.BASE_DIR) / "airy" / name).read_text() for name in ("settings.py", "environment.py"))
    for name in SERVICES["web"]["environment"]:
        assert re.search(rf'"{name}"', read), name


@pytest.mark.postgres
@pytest.mark.rabbitmq
@pytest.mark.redis
def test_its_commands_run(manage: Manage, eventually: Callable[..., None]) -> None:
    def started(words: list[str], **environment: str) -> subprocess.Popen:
        if words[:2] == ["python", "manage.py"]:
            return manage(*words[2:], **environment)
        program = [sys.executable, *words[1:]] if words[0] == "python" else [sys.executable, "-m", *words]
        return manage.start(*program, **environment)

    def run(service: str, **replaced: str) -> subprocess.Popen:
        return started([replaced.get(word, word) for word in SERVICES[service]["command"]], **HARD)

    def is_healthy(service: str, **replaced: str) -> bool:
        words = SERVICES[service]["healthcheck"]["test"][1:]
        for old, new in replaced.items():
            words = [word.replace(old, new) for word in words]
        return started(words, **HARD).wait(30) == 0

    assert run("migrate").wait(60) == 0

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    run("web", **{"0.0.0.0": "127.0.0.1", "8000": port})

    port_of_compose = {"127.0.0.1:8000": f"127.0.0.1:{port}"}
    eventually(lambda: is_healthy("web", **port_of_compose), within=60)
    run("worker")
    eventually(lambda: Process.objects.alive().filter(kind="worker").count() == 2, within=60)
    eventually(lambda: is_healthy("worker"), within=30)
