"""Health and metrics, for load balancers, operators and Prometheus."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from airy import health
from events.models import Delivery
from events.testing import deliver
from tests.support.factories import UserFactory

pytestmark = pytest.mark.django_db


def figures() -> dict[str, float]:
    """The figures of /metrics by name."""
    response = Client().get("/metrics")
    assert response.status_code == 200
    lines = (line for line in response.content.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_process_is_healthy_without_a_database(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        response = Client().get("/healthz")
    assert (response.status_code, response.json()) == (200, {"healthy": True})
    assert "no-store" in response.headers["Cache-Control"]


def test_everyone_sees_whether_it_is_ready_and_staff_see_why() -> None:
    assert Client().get("/readyz").json() == {"ready": True}
    staff = Client()
    staff.force_login(UserFactory(is_staff=True))
    assert staff.get("/readyz").json() == {"ready": True, "checks": {"database": "ok", "migrations": "ok"}}


def test_a_missing_migration_makes_unready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrated", False)
    applied = MigrationRecorder(connection)
    name = max(name for app, name in applied.applied_migrations() if app == "feeds")
    applied.record_unapplied("feeds", name)
    stranger = Client().get("/readyz")
    assert (stranger.status_code, stranger.json()) == (503, {"ready": False})
    staff = Client()
    staff.force_login(UserFactory(is_staff=True))
    assert f"feeds.{name}" in staff.get("/readyz").json()["checks"]["migrations"]


def test_without_a_database_a_process_is_alive_unready_and_still_measured(tmp_path: Path) -> None:
    script = """
import django; django.setup()
from django.test import Client
for path in ("/healthz", "/readyz", "/metrics"):
    response = Client().get(path)
    print(response.status_code, response.content.decode())
"""
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{tmp_path}", "DJANGO_SETTINGS_MODULE": "airy.settings"}
    command = (sys.executable, "-c", script)
    said = subprocess.run(command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True).stdout
    assert '200 {"healthy": true}' in said
    assert '503 {"ready": false}' in said
    assert "airy_database_up 0.0" in said
    assert 'airy_pool_capacity{process="this"}' in said


def test_the_outbox_and_its_age_are_measured() -> None:
    before = figures()
    assert (before["airy_outbox_pending"], before["airy_outbox_oldest_age_seconds"]) == (0, 0)
    UserFactory()
    owed = figures()
    assert owed["airy_outbox_pending"] >= 1
    assert 0 < owed["airy_outbox_oldest_age_seconds"] < 60
    deliver()
    assert figures()["airy_outbox_pending"] == 0


def test_dead_letters_and_pools_are_measured() -> None:
    Delivery.objects.create(event_id="0" * 32, subscriber="feeds.none", state=Delivery.State.DEAD)
    now = figures()
    assert now["airy_dead_letters"] == 1
    assert now['airy_pool_capacity{process="this"}'] == settings.GOROUTINE_POOL_SIZE
    assert now["airy_database_up"] == 1


def test_metrics_name_no_person() -> None:
    UserFactory(username="Hypatia")
    assert b"Hypatia" not in Client().get("/metrics").content
