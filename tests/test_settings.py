"""Settings: a malformed value stops the start with its name and the cure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check` with this environment and nothing of this run's."""
    kept = {"PATH": os.environ["PATH"], "SECRET_KEY": "only-for-tests", "DJANGO_SETTINGS_MODULE": "airy.settings"}
    command = (sys.executable, "manage.py", "check")
    return subprocess.run(command, cwd=settings.BASE_DIR, env=kept | environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("GOROUTINE_POOL_SIZE", "many", "a whole number, for example GOROUTINE_POOL_SIZE=10000"),
        ("GOROUTINE_POOL_SIZE", "0", "at least 1"),
        ("MQ_PORT", "amqp", "a whole number"),
        ("MQ_QUEUE_TYPE", "lazy", "one of classic, quorum"),
        ("AIRY_BROKER", "kafak", "one of embedded, rabbitmq"),
        ("DATABASE_URL", "mysql://here/airy", "postgres://user:password@host:5432/name"),
        ("DATABASE_URL", "postgres://", "postgres://user:password@host:5432/name"),
        ("DEBUG", "maybe", "on or off"),
        ("MQ_PORT", "99999", "at most 65535"),
        ("REDIS_URL", "here", "redis://host:port"),
        ("LOG_LEVEL", "chatty", "one of DEBUG, INFO"),
        ("SECRET_KEY_FILE", "/nowhere", "cannot be read"),
        ("SECRET_KEY", "", "export SECRET_KEY"),
    ],
)
def test_a_malformed_value_stops_the_start_with_its_name_and_the_cure(name: str, value: str, cure: str) -> None:
    outcome = start(**{name: value})
    assert outcome.returncode != 0
    assert name in outcome.stderr
    assert cure in outcome.stderr


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from-a-file")
    assert start(SECRET_KEY="", SECRET_KEY_FILE=str(secret)).returncode == 0


def test_naming_a_broker_host_chooses_rabbitmq() -> None:
    code = "import airy.settings as s; print(s.AIRY_BROKER, s.DRAMATIQ_BROKER['BROKER'])"
    environment = {"PATH": os.environ["PATH"], "SECRET_KEY": "x", "MQ_HOST": "rabbit.example"}
    said = subprocess.run(
        (sys.executable, "-c", code), cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["rabbitmq", "events.brokers.rabbitmq.RabbitmqBroker"]


def test_workers_that_cannot_push_to_the_web_are_named() -> None:
    assert "notifications.W001" in start(MQ_HOST="rabbit.example").stderr
    assert "notifications.W001" not in start(MQ_HOST="rabbit.example", REDIS_URL="redis://redis.example:6379").stderr
