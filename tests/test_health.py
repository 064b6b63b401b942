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
from pytest_django import DjangoAssertNumQueries, Settings

from airy import health
from events import metrics
from events.models import Delivery
from events.repair.announce import announce
from events.subscription import interested_in
from events.testing import deliver
from tests.support.factories import UserFactory
from tests.support.servers.redis import running_redis

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
    told = {"ready": True} | ({"redis": "ok"} if settings.REDIS_URL else {})
    assert Client().get("/readyz").json() == told
    staff = Client()
    staff.force_login(UserFactory(is_staff=True))
    assert staff.get("/readyz").json() == told | {"checks": {"database": "ok", "migrations": "ok"}}


def test_a_missing_migration_makes_unready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrated", False)
    applied = MigrationRecorder(connection)
    name = max(name for app, name in applied.applied_migrations() if app == "feeds")
    applied.record_unapplied("feeds", name)
    stranger = Client().get("/readyz")
    assert stranger.status_code == 503
    assert stranger.json()["ready"] is False
    assert "checks" not in stranger.json()
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
    assert '503 {"ready": false' in said
    assert "airy_database_up 0.0" in said
    assert "airy_pool_capacity 10000.0" in said
    assert "airy_deliveries_total{" not in said, "the counts of one process are not those of all"


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
    assert now['airy_dead_letters{subscriber="other"}'] == 1, "a subscriber that does not exist"
    assert now["airy_pool_capacity"] == settings.GOROUTINE_POOL_SIZE
    assert now["airy_database_up"] == 1


def test_the_backlog_and_its_age_are_measured_for_each_subscriber(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "BACKLOG_AGE", 0.0)
    monkeypatch.setattr(metrics, "remembered_backlogs", type(metrics.remembered_backlogs)())
    announce()
    UserFactory()
    behind = figures()
    waiting = {name for name, value in behind.items() if name.startswith("airy_backlog_events{") and value}
    assert waiting == {f'airy_backlog_events{{subscriber="{one.name}"}}' for one in interested_in("user.registered")}
    for name in waiting:
        assert 0 < behind[name.replace("events", "oldest_age_seconds", 1)] < 60
    deliver()
    assert sum(value for name, value in figures().items() if name.startswith("airy_backlog_events{")) == 0


def test_metrics_name_no_person() -> None:
    UserFactory(username="Hypatia")
    assert b"Hypatia" not in Client().get("/metrics").content


PROBES = ("/healthz", "/readyz", "/metrics")


@pytest.mark.parametrize("path", PROBES)
def test_a_probe_is_answered_by_ip_and_without_a_redirect(settings: Settings, path: str) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["airy.example"]
    assert Client().get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200
    assert Client().head(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200
    assert Client().post(path).status_code == 405


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("127.0.0.1", 200), ("10.1.2.3", 200), ("172.16.0.1", 200), ("192.168.1.1", 200), ("::1", 200),
        ("fd00::1", 200), ("::ffff:10.1.2.3", 200), ("203.0.113.5", 403), ("172.32.0.1", 403), ("2001:db8::1", 403),
        ("::ffff:203.0.113.5", 403), ("", 403),
    ],
)  # fmt: skip
def test_without_a_token_the_metrics_are_for_private_addresses(address: str, status: int) -> None:
    assert Client(REMOTE_ADDR=address).get("/metrics").status_code == status


def test_a_private_address_of_a_proxy_that_nobody_named_is_no_private_client() -> None:
    assert Client().get("/metrics", headers={"X-Forwarded-For": "10.0.0.1"}).status_code == 403


@pytest.mark.parametrize("address", ["127.0.0.1", "203.0.113.5"])
def test_with_a_token_the_metrics_are_for_who_has_it(settings: Settings, address: str) -> None:
    settings.METRICS_TOKEN = "a secret"
    for sent, status in (("Bearer a secret", 200), ("Bearer another", 403), ("a secret", 403), ("", 403)):
        headers = {"Authorization": sent} if sent else {}
        assert Client(REMOTE_ADDR=address, headers=headers).get("/metrics").status_code == status


@pytest.mark.redis
def test_a_lost_redis_is_degraded_and_ready(settings: Settings, tmp_path: Path) -> None:
    with running_redis(tmp_path) as redis:
        settings.REDIS_URL = redis.url
        assert Client().get("/readyz").json()["redis"] == "ok"
        assert figures()["airy_redis_up"] == 1
        redis.kill()
        lost = Client().get("/readyz")
        assert (lost.status_code, lost.json()) == (200, {"ready": True, "redis": "degraded"})
        assert figures()["airy_redis_up"] == 0
