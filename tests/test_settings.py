"""Settings: a malformed value stops the start with its name and the cure."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

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
        ("DATABASE_DIRECT_URL", "here", "postgres://host:port"),
        ("DATABASE_DIRECT_URL", "postgres://here/airy", "leave it out without a pooler"),
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


def options_of(**environment: str) -> dict[str, Any]:
    code = "import json, airy.settings as s; print(json.dumps(s.DATABASES['default']))"
    command = (sys.executable, "-c", code)
    environment = {"PATH": os.environ["PATH"], "SECRET_KEY": "x"} | environment
    said = subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=True
    ).stdout
    return dict(json.loads(said))


def test_options_of_the_database_s_url_are_kept_and_go_before_our_own() -> None:
    url = "postgres://airy@db.example/airy?sslmode=require&connect_timeout=3&options=-csearch_path%3Dshop"
    options = options_of(DATABASE_URL=url)["OPTIONS"]
    assert options["sslmode"] == "require"
    assert options["connect_timeout"] == 3
    assert options["options"] == "-c jit=off -csearch_path=shop"
    assert options["keepalives_idle"] + options["keepalives_interval"] * options["keepalives_count"] <= 30
    assert options["tcp_user_timeout"] <= 30_000


def test_a_pooler_of_transactions_gets_no_options_and_no_prepared_statements() -> None:
    database = options_of(DATABASE_URL="postgres://pooler/airy", DATABASE_DIRECT_URL="postgres://db/airy")
    assert not {"options", "prepare_threshold"} & database["OPTIONS"].keys()
    assert database["DISABLE_SERVER_SIDE_CURSORS"] is True
