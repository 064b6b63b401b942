"""Settings: a malformed value stops the start with its name and the cure."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from airy.environment import read_broker
from tests.environment import HOME

STRONG = "Xq7-" + "wL2k_Zp9vTb" * 5


def start(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check` with these arguments and this environment and nothing of this run's."""
    kept = {"PATH": os.environ["PATH"], "SECRET_KEY": HOME["SECRET_KEY"], "DJANGO_SETTINGS_MODULE": "airy.settings"}
    command = (sys.executable, "manage.py", "check", *arguments)
    return subprocess.run(command, cwd=settings.BASE_DIR, env=kept | environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("GOROUTINE_POOL_SIZE", "many", "a whole number, for example GOROUTINE_POOL_SIZE=10000"),
        ("GOROUTINE_POOL_SIZE", "0", "at least 1"),
        ("EVENTS_KEEP", "vote.*=soon", "for example EVENTS_KEEP=*=365d,vote.*=30d"),
        ("MQ_PORT", "amqp", "a whole number"),
        ("MQ_URL", "rabbit.example", "amqp://user:password@host:5672/vhost"),
        ("MQ_URL", "amqp://rabbit.example:port", "amqp://user:password@host:5672/vhost"),
        ("MQ_URL", "amqp://rabbit.example/a/b", "%2F for /"),
        ("MQ_CA_FILE", "/nowhere", "the path of a file that can be read"),
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
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "http://host:port"),
        ("OTEL_TRACES_EXPORTER", "jaeger", "one of otlp, none"),
        ("SECRET_KEY_FILE", "/nowhere", "cannot be read"),
        ("SECRET_KEY", "", "export SECRET_KEY"),
        ("SITE_URL", "airy.example", "https://host:port"),
        ("SITE_URL", "https://airy.example/forum", "such as https://airy.example"),
        ("ALLOWED_HOSTS", "*", "SITE_URL=https://airy.example"),
        ("EMAIL_URL", "mail.example", "smtp://user:password@host:port"),
        ("EMAIL_URL", "http://mail.example", "smtp://user:password@host:port"),
        ("EMAIL_URL", "smtp://:port", "smtp://user:password@host:port"),
        ("EMAIL_URL", "smtp://mail.example:99999", "smtp://user:password@host:port"),
        ("DEFAULT_FROM_EMAIL", "Airy", "such as Airy <noreply@airy.example>"),
        ("LIMIT_READ", "often", "most/seconds, or several with commas between, for example LIMIT_READ=100/10"),
        ("LIMIT_READ", "0/60", "RATE_LIMITS=off"),
        ("LIMIT_READ", "10/60,20/60", "each number of seconds once"),
        ("BODY_BYTES", "1 MB", "a whole number"),
        ("TRUSTED_PROXIES", "proxy.example", "TRUSTED_PROXIES=127.0.0.1,10.0.0.0/8"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "has host bits set"),
        ("BEHIND_PROXY", "on", "name the addresses of your proxies in TRUSTED_PROXIES"),
        ("SECRET_KEY", "abc", "at least 50 characters"),
        ("SECRET_KEY", "s3cret-" * 7, "token_urlsafe(60)"),
        ("SECRET_KEY", "abcd" * 20, "5 different ones"),
        ("SECRET_KEY", "django-insecure-" + STRONG, "not begin with 'django-insecure-'"),
        ("SECRET_KEY_FALLBACKS", f"{STRONG},abc", "at least 50 characters"),
        ("EVENTS_SIGNING_KEYS", "abc", "at least 50 characters"),
        ("EVENTS_SIGNING_KEYS", f"{STRONG}, abc", "token_urlsafe(60)"),
    ],
)
def test_a_malformed_value_is_refused_with_its_name_and_the_cure(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, cure: str
) -> None:
    kept = {"PATH": os.environ["PATH"], "SECRET_KEY": HOME["SECRET_KEY"]}
    for variable in list(os.environ):
        monkeypatch.delenv(variable)
    for variable, text in (kept | {name: value}).items():
        monkeypatch.setenv(variable, text)
    with pytest.raises(ImproperlyConfigured) as refused:
        runpy.run_path(str(Path(settings.BASE_DIR) / "airy" / "settings.py"))
    assert name in str(refused.value)
    assert cure in str(refused.value)


def test_a_malformed_value_stops_the_start() -> None:
    outcome = start(MQ_PORT="amqp")
    assert outcome.returncode != 0
    assert "MQ_PORT must be a whole number" in outcome.stderr


BLOCKED = """
import sys


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in sys.argv[1:]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocked())
import airy.settings
print(airy.settings.EVENTS_TRACING)
"""


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.exporter"])
def test_traces_without_their_packages_stop_the_start_with_the_cure(missing: str) -> None:
    def load(**environment: str) -> subprocess.CompletedProcess[str]:
        kept = {"PATH": os.environ["PATH"], "SECRET_KEY": HOME["SECRET_KEY"]}
        command = (sys.executable, "-c", BLOCKED, missing)
        return subprocess.run(
            command, cwd=settings.BASE_DIR, env=kept | environment, capture_output=True, text=True, check=False
        )

    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    assert "pip install -r requirements-tracing.txt" in load(**asked).stderr
    assert load().stdout == load(**asked, OTEL_SDK_DISABLED="true").stdout == "\n"


def test_traces_are_sent_over_http_alone() -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}
    assert "must be one of http/protobuf; it is 'grpc'" in start(**asked, OTEL_EXPORTER_OTLP_PROTOCOL="grpc").stderr
    assert start(**asked).returncode == 0


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(STRONG)
    assert start(SECRET_KEY="", SECRET_KEY_FILE=str(secret)).returncode == 0
    secret.write_text("weak")
    assert "SECRET_KEY is weak" in start(SECRET_KEY="", SECRET_KEY_FILE=str(secret)).stderr


def test_a_weak_key_will_do_for_development() -> None:
    assert start(SECRET_KEY="abc", SECRET_KEY_FALLBACKS="abc", EVENTS_SIGNING_KEYS="abc", DEBUG="on").returncode == 0


SECURE = {"SECURE_SSL_REDIRECT": "on", "SECURE_HSTS_SECONDS": "31536000", "ALLOWED_HOSTS": "airy.example"}


def test_the_documented_settings_of_production_pass_the_check_of_a_deployment() -> None:
    keys = {"SECRET_KEY_FALLBACKS": STRONG, "EVENTS_SIGNING_KEYS": f"{STRONG}, new-{STRONG}"}
    outcome = start("--deploy", "--fail-level", "WARNING", EMAIL_URL="smtp+tls://mail.example", **keys, **SECURE)
    assert outcome.returncode == 0, outcome.stderr


def test_a_deployment_without_a_mail_server_is_named() -> None:
    outcome = start("--deploy", "--fail-level", "WARNING", **SECURE)
    assert outcome.returncode != 0
    assert "feeds.W001" in outcome.stderr
    assert "EMAIL_URL" in outcome.stderr
    assert "feeds.W001" not in start(**SECURE).stderr


def test_naming_a_broker_host_chooses_rabbitmq() -> None:
    code = "import airy.settings as s; print(s.AIRY_BROKER, s.DRAMATIQ_BROKER['BROKER'])"
    environment = {"PATH": os.environ["PATH"], "SECRET_KEY": HOME["SECRET_KEY"], "MQ_HOST": "rabbit.example"}
    said = subprocess.run(
        (sys.executable, "-c", code), cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["rabbitmq", "events.brokers.rabbitmq.RabbitmqBroker"]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("amqp://rabbit.example", ["rabbit.example", 5672, "guest", "guest", "/", False]),
        ("amqps://a%40b:c%2Fd@rabbit.example/", ["rabbit.example", 5671, "a@b", "c/d", "/", True]),
        ("amqps://u:p@10.0.0.1:7000/%2Fairy", ["10.0.0.1", 7000, "u", "p", "/airy", True]),
    ],
)
def test_one_address_says_where_rabbitmq_is(monkeypatch: pytest.MonkeyPatch, url: str, address: list[Any]) -> None:
    monkeypatch.delenv("MQ_HOST", raising=False)
    monkeypatch.setenv("MQ_URL", url)
    assert list(read_broker()) == address
    monkeypatch.setenv("MQ_HOST", "rabbit.example")
    with pytest.raises(ImproperlyConfigured, match="set one of them"):
        read_broker()


def test_workers_that_cannot_push_to_the_web_are_named() -> None:
    assert "notifications.W001" in start(MQ_HOST="rabbit.example").stderr
    assert "notifications.W001" not in start(MQ_HOST="rabbit.example", REDIS_URL="redis://redis.example:6379").stderr


def options_of(**environment: str) -> dict[str, Any]:
    code = "import json, airy.settings as s; print(json.dumps(s.DATABASES['default']))"
    command = (sys.executable, "-c", code)
    environment = {"PATH": os.environ["PATH"], "SECRET_KEY": HOME["SECRET_KEY"]} | environment
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


def mail_of(**environment: str) -> dict[str, Any]:
    code = (
        "import json, airy.settings as s; print(json.dumps({name: value for name, value in vars(s).items()"
        " if name.startswith(('EMAIL_', 'DEFAULT_FROM', 'SITE_URL'))}))"
    )
    command = (sys.executable, "-c", code)
    environment = {"PATH": os.environ["PATH"], "SECRET_KEY": HOME["SECRET_KEY"]} | environment
    said = subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=True
    ).stdout
    return dict(json.loads(said))


def test_letters_are_written_to_the_console_until_a_mail_server_is_named() -> None:
    assert mail_of()["EMAIL_BACKEND"] == "django.core.mail.backends.console.EmailBackend"
    named = mail_of(EMAIL_URL="smtp+tls://airy:p%40ss@mail.example", SITE_URL="https://airy.example/")
    assert named["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend"
    assert (named["EMAIL_HOST"], named["EMAIL_PORT"], named["EMAIL_USE_TLS"]) == ("mail.example", 587, True)
    assert (named["EMAIL_HOST_USER"], named["EMAIL_HOST_PASSWORD"]) == ("airy", "p@ss")
    assert (named["SITE_URL"], named["DEFAULT_FROM_EMAIL"]) == ("https://airy.example", "Airy <noreply@airy.example>")
    assert named["EMAIL_TIMEOUT"] <= 60


def test_a_malformed_mail_server_shows_no_password() -> None:
    outcome = start(EMAIL_URL="smtp://airy:hunter2@mail.example:port")
    assert outcome.returncode != 0
    assert "EMAIL_URL" in outcome.stderr
    assert "hunter2" not in outcome.stderr.partition("ImproperlyConfigured")[2]


def test_the_log_has_the_traceback_of_an_error_of_any_library() -> None:
    script = """
import logging, django; django.setup()
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("django.request").exception("Internal Server Error")
"""
    kept = {"PATH": os.environ["PATH"], "SECRET_KEY": HOME["SECRET_KEY"], "DJANGO_SETTINGS_MODULE": "airy.settings"}
    said = subprocess.run(
        (sys.executable, "-c", script), cwd=settings.BASE_DIR, env=kept, capture_output=True, text=True
    ).stderr
    (line,) = said.strip().splitlines()
    assert "ZeroDivisionError: division by zero" in json.loads(line)["exception"]
