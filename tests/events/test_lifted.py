"""The folder `events` in another project: under another import name and label, without the optional packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from tests.environment import SERVICES

EVENTS = Path(settings.BASE_DIR) / "events"
#: Packages that only some parts of events use. The embedded broker works without each of them.
OPTIONAL = ("pika", "rich", "prometheus_client", "structlog", "opentelemetry")

SETTINGS = """
import os

SECRET_KEY = "only-for-tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.messages",
    "django.contrib.sessions", "django_dramatiq", "airy_events", "shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
ROOT_URLCONF = "urls"
ALLOWED_HOSTS = ["testserver"]
DRAMATIQ_AUTODISCOVER_MODULES = ("subscribers",)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"delivery": {"()": "airy_events.log_context.DeliveryFilter"}},
    "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s%(delivery)s"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler", "stream": "ext://sys.stdout",
            "filters": ["delivery"], "formatter": "plain",
        },
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
}
DRAMATIQ_BROKER = {"BROKER": "airy_events.brokers.embedded.EmbeddedBroker", "OPTIONS": {}, "MIDDLEWARE": []}
if url := os.environ.get("POSTGRES_NAME"):
    DATABASES = {"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": url, "HOST": "127.0.0.1",
        "PORT": os.environ["POSTGRES_PORT"], "USER": os.environ["POSTGRES_USER"],
        "OPTIONS": {"prepare_threshold": 0},
    }}
else:
    DATABASES = {"default": {
        "ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["SQLITE"],
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
    }}
"""

URLS = """
from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
"""

SUBSCRIBERS = """
import logging

from airy_events.bus import Event, subscriber

heard = set()


class OrderPlaced(Event, topic="order.placed", version=1, subject="order/{order_id}"):
    order_id: int


@subscriber(OrderPlaced, max_retries=0)
def reserve_stock(event):
    if event.order_id < 0:
        logging.getLogger("shop").error("no such order")
        raise ValueError("no such order")
    heard.add(event.order_id)
"""

RUN = """
import os, sys, time


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in os.environ["BLOCKED"].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocked())
import django
django.setup()
from django.core.management import call_command
from django.db import connection, transaction

call_command("migrate", verbosity=0)
call_command("makemigrations", check=True, dry_run=True, verbosity=0)
call_command("check", fail_level="WARNING")
tables = [name for name in connection.introspection.table_names() if "storedevent" in name or "delivery" in name]
assert sorted(tables) == ["airy_events_delivery", "airy_events_storedevent"], tables

from airy_events.bus import emit
from airy_events.models import Delivery, OutboxMessage
from airy_events.worker import running_worker
from shop.subscribers import OrderPlaced, heard

with running_worker(threads=2):
    with transaction.atomic():
        for order_id in (1, 2, -1):
            emit(OrderPlaced(order_id=order_id))
    deadline = time.monotonic() + 60
    while (Delivery.objects.count() < 3 or OutboxMessage.objects.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
assert heard >= {1, 2}, heard
assert sorted(Delivery.objects.values_list("state", flat=True)) == ["dead", "done", "done"]

call_command("dead_letters", "list")
call_command("topology", "show")
call_command("replay", "shop.reserve_stock", "--everything", "--dry-run")
call_command("reconcile", "--dry-run")
call_command("dead_letters", "requeue", "--everything", "--yes")

from django.contrib.auth.models import User
from django.test import Client
client = Client()
client.force_login(User.objects.create_superuser("operator", password="x"))
event = client.get("/admin/airy_events/storedevent/1/change/")
assert b"/admin/airy_events/delivery/" in event.content
models = "storedevent outboxmessage delivery deadletter attempt subscription straggler process"
for page in models.split():
    assert client.get(f"/admin/airy_events/{page}/").status_code == 200, page

call_command("migrate", "airy_events", "zero", verbosity=0)
loaded = [name for name in os.environ["BLOCKED"].split(",") if name in sys.modules]
assert not loaded, loaded
print("lifted")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a copy of events, named airy_events, and an app with one subscriber."""
    shutil.copytree(EVENTS, tmp_path / "airy_events", ignore=shutil.ignore_patterns("__pycache__"))
    config = tmp_path / "airy_events" / "apps.py"
    config.write_text(config.read_text().replace('name = "events"', 'name = "airy_events"'))
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "subscribers.py").write_text(SUBSCRIBERS)
    (tmp_path / "settings.py").write_text(SETTINGS)
    (tmp_path / "urls.py").write_text(URLS)
    return tmp_path


def run(project: Path, *, blocked: tuple[str, ...], **environment: str) -> str:
    """Run the project in a process of its own."""
    own = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "PYTHONPATH")}
    done = subprocess.run(
        (sys.executable, "-c", RUN),
        cwd=project,
        env=own
        | {
            "DJANGO_SETTINGS_MODULE": "settings",
            "BLOCKED": ",".join(blocked),
            "SQLITE": str(project / "db.sqlite3"),
            "COLUMNS": "200",
        }
        | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.home
def test_events_work_under_another_name_without_any_optional_package(project: Path) -> None:
    said = run(project, blocked=OPTIONAL)
    assert said.endswith("lifted\n")
    assert "shop.reserve_stock" in said
    told = r"^ERROR shop no such order subscriber=shop.reserve_stock event_id=(\S{36}) topic=order.placed"
    assert re.search(rf"{told} correlation_id=\1 attempt=1 run=0$", said, re.MULTILINE)


@pytest.mark.postgres
def test_no_name_of_the_app_is_written_out_in_what_postgresql_runs(project: Path) -> None:
    server = psycopg.conninfo.conninfo_to_dict(SERVICES["postgres"])
    name = f"lifted_{os.getpid()}"
    with psycopg.connect(f"{SERVICES['postgres']}/postgres", autocommit=True) as session:
        session.execute(f"CREATE DATABASE {name}")
        try:
            environment = {
                "POSTGRES_NAME": name,
                "POSTGRES_PORT": str(server.get("port", 5432)),
                "POSTGRES_USER": str(server.get("user", "postgres")),
            }
            assert run(project, blocked=(), **environment).endswith("lifted\n")
        finally:
            session.execute(f"DROP DATABASE {name} WITH (FORCE)")
