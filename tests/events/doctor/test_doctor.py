"""The doctor: each planted fault is found, and its cure named. Those of a broker in need are in test_blocked.py."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import dramatiq
import pika
import pytest
from django.core.management import CommandError
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from django.utils.module_loading import autodiscover_modules

from events.db.reshape import Reshaping
from events.doctor import broker, configuration, database, drivers, relay, subscribers
from events.doctor.diagnose import diagnose
from events.doctor.examination import examination, examinations
from events.finding import Finding, Severity
from events.models import Delivery, OutboxMessage, Process, RelayTerm, StoredEvent, Subscription
from events.passwords import why_weak
from events.repair.announce import announce
from events.repair.partitions import log_and_inbox
from events.subscription import subscriptions
from tests.conformance.processes import database_url
from tests.support.command_output import command_output
from tests.support.effects import ring

pytestmark = pytest.mark.django_db

RAIN = Finding(problem="It rains.", cure="Take a coat.", severity=Severity.WARNING)


def words(found: Iterable[Finding]) -> str:
    """All problems and cures."""
    return "\n".join(f"{finding.severity}: {finding.problem} {finding.cure}" for finding in found)


def test_a_fresh_installation_has_no_database_that_is_missing_anything() -> None:
    announce()
    assert not list(subscribers.seen())
    assert not list(subscribers.dead_letters())
    assert not list(relay.outbox())
    assert not list(database.clocks())
    assert "migrations" not in words(database.database())


def test_what_does_not_answer_is_named_with_its_cure_and_the_others_are_looked_at_all_the_same() -> None:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "airy.settings",
        "DEBUG": "on",
        "DATABASE_URL": "postgres://airy:airy@127.0.0.1:9/airy",
        "AIRY_BROKER": "rabbitmq",
        "MQ_HOST": "127.0.0.1",
        "MQ_PORT": "9",
        "REDIS_URL": "redis://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1, done.stderr
    found = {one["title"]: one for one in json.loads(done.stdout)}
    texts = {
        title: " ".join(f"{finding['problem']} {finding['cure']}" for finding in one["findings"])
        for title, one in found.items()
    }
    assert "DEBUG is on" in texts["Settings"]
    assert "does not answer" in texts["Database"]
    assert "DATABASE_URL" in texts["Database"]
    assert "password of airy at the database 127.0.0.1 is one that everybody tries first" in texts["Database"]
    assert "password of guest at RabbitMQ" in texts["Broker"]
    assert "MQ_HOST and MQ_PORT" in texts["Broker"]
    assert "REDIS_URL" in texts["Redis"]
    assert found["Relay"]["passed_over"] == "the database does not answer"


def test_migrations_that_are_not_applied_are_named() -> None:
    MigrationRecorder.Migration.objects.filter(app="notifications", name="0002_times_read").delete()
    assert "1 migrations are not applied: notifications.0002_times_read" in words(database.database())
    assert "manage.py migrate" in words(database.database())
    assert {one.passed_over for one in diagnose() if one.title == "Relay"} == {"migrations are not applied"}


@pytest.mark.parametrize(("ahead", "text"), [(3.0, "3.0 s ahead of"), (-2.5, "2.5 s behind")])
def test_a_clock_that_goes_wrong_is_named(ahead: float, text: str) -> None:
    now = time.time()
    assert text in words(database.clock_differs(now + ahead, before=now, after=now))
    assert "chrony" in words(database.clock_differs(now + ahead, before=now, after=now))
    assert not list(database.clock_differs(now + 0.5, before=now, after=now + 0.1))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_open_for_long_is_named_with_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg

    monkeypatch.setattr(database, "LONG_TRANSACTION", 0)
    with psycopg.connect(database_url(), application_name="forgotten dump") as other:
        (process,) = other.execute("SELECT pg_backend_pid()").fetchone()
        text = words(database.long_transactions())
    assert "(forgotten dump, idle in transaction)" in text
    assert f"pg_terminate_backend({process})" in text
    monkeypatch.setattr(database, "SESSIONS_IN_USE", 0)
    assert "max_connections" in words(database.long_transactions())


@pytest.mark.postgres
def test_plain_tables_with_many_rows_and_partitions_that_end_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    both = log_and_inbox()
    assert not list(database.partitions())
    monkeypatch.setattr(database, "PLAIN_ROWS", -1)
    with connection.cursor() as cursor:
        for one in both.shown():
            if one.end and one.end > timezone.now() + dt.timedelta(days=1):
                cursor.execute(f"DROP TABLE {one.name}")
    assert "no partition for tomorrow" in words(database.partitions())
    both.reshape_few(partitioned=False)
    assert "plain tables with about 0 rows" in words(database.partitions())
    assert "`manage.py partition` beside the site" in words(database.partitions())
    Reshaping(connection, "events_delivery", column="id", by="event_id").begin(partitioned=True)
    assert "has begun and not ended" in words(database.partitions())


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "is empty"),
        ("airy", "everybody tries first"),
        ("Guest", "everybody tries first"),
        ("password123", "everybody tries first"),
        ("community", "name of its user"),
        ("k3!pQ", "fewer than 10"),
        ("a-long-one-of-its-own", ""),
    ],
)
def test_a_weak_password_is_known_as_such(password: str, why: str) -> None:
    found = why_weak(password, user="community")
    assert why in found
    assert bool(found) is bool(why)
    settings = {"ENGINE": "airy.postgresql", "HOST": "db", "USER": "community", "PASSWORD": password}
    assert ("ALTER ROLE" in words(database.password(settings))) is bool(why)


def test_a_driver_that_is_not_compiled_is_named() -> None:
    assert "psycopg[binary]" in words(drivers.slow_driver("python"))
    assert not list(drivers.slow_driver("binary"))
    assert not list(drivers.drivers())


def test_a_setting_that_breaks_deliveries_is_named(settings: Any) -> None:
    settings.EVENTS_SIGNING_KEYS = "not a list"
    assert "events.E010" in words(configuration.configuration())


def test_an_outbox_that_nobody_empties_is_named() -> None:
    ring(2)
    assert not list(relay.outbox())
    StoredEvent.objects.update(time=timezone.now() - dt.timedelta(minutes=7))
    assert "owed for 7 minutes" in words(relay.outbox())
    OutboxMessage.objects.update(due=timezone.now() + dt.timedelta(hours=1))
    assert not list(relay.outbox())
    OutboxMessage.objects.update(due=timezone.now() - dt.timedelta(minutes=3, seconds=5))
    assert "owed for 3 minutes" in words(relay.outbox())


def test_rows_of_the_outbox_without_an_event_are_named() -> None:
    OutboxMessage.objects.create(event_id=uuid.uuid4())
    assert "not in the log" in words(relay.outbox())


def test_a_relay_that_carries_no_more_is_named() -> None:
    RelayTerm.objects.all().delete()
    assert "none ever was" in words(relay.relay())
    begun, now = timezone.now() - dt.timedelta(hours=1), timezone.now()
    term = RelayTerm.objects.create(number=7, holder="process 3 on a", started_at=begun, expires_at=begun)
    assert "process 3 on a, ended" in words(relay.relay())
    assert "manage.py rundramatiq" in words(relay.relay())
    RelayTerm.objects.filter(pk=term.pk).update(expires_at=now + dt.timedelta(seconds=3))
    assert not list(relay.relay())


def test_a_silent_process_is_named_and_that_no_worker_runs() -> None:
    Process.objects.all().delete()
    assert "No worker runs" in words(relay.processes())
    Process.objects.create(kind="worker", host="a", pid=4, beat_at=timezone.now())
    assert not list(relay.processes())
    Process.objects.create(kind="relay", host="b", pid=5, beat_at=timezone.now() - dt.timedelta(minutes=1))
    text = words(relay.processes())
    assert "relay 5 on b is silent since" in text
    assert "No worker" not in text


def test_subscriptions_that_one_side_does_not_know_are_named() -> None:
    announce()
    Subscription.objects.filter(name="effects.moody").delete()
    Subscription.objects.create(name="shop.gone", queue="airy.shop.gone", patterns=["bell.rang"])
    text = words(subscribers.seen())
    assert "the subscriptions effects.moody" in text
    assert "shop.gone is no longer in the code" in text
    assert "unbind --delete-queue" in text


def test_dead_letters_are_named() -> None:
    Delivery.objects.create(event_id=uuid.uuid4(), subscriber="effects.moody", state="dead")
    assert "manage.py dead_letters list" in words(subscribers.dead_letters())


@pytest.mark.rabbitmq
def test_a_queue_that_is_missing_and_one_that_nobody_consumes_are_named(vhost: str) -> None:
    announce()
    with pika.BlockingConnection(dramatiq.get_broker().parameters) as rabbitmq:
        channel = rabbitmq.channel()
        for one in subscriptions.values():
            channel.queue_delete(one.queue)
        text = words(broker.queues())
        assert "Queues are missing" in text
        assert "manage.py topology declare" in text
        command_output("topology", "declare")
        text = words(broker.queues())
        assert "missing" not in text
        assert "Nobody consumes" in text
        assert "manage.py rundramatiq" in text
        for one in subscriptions.values():
            channel.queue_delete(one.queue)


@pytest.mark.rabbitmq
def test_a_broker_that_is_no_longer_mended_and_one_with_a_known_password_are_named(vhost: str) -> None:
    text = words(broker.server())
    assert "password of guest" in text
    assert "rabbitmqctl change_password guest" in text
    assert "takes no messages" not in text


@pytest.fixture
def no_examinations() -> Iterator[None]:
    autodiscover_modules("doctor")
    before, examinations[:] = list(examinations), []
    yield
    examinations[:] = before


def test_an_examination_that_fails_is_a_finding_and_the_next_one_is_made(no_examinations: None) -> None:
    @examination("Broken")
    def broken() -> Iterable[Finding]:
        raise ZeroDivisionError("no number")

    examination("After it")(lambda: [RAIN])
    found, after = diagnose()
    assert "ZeroDivisionError: no number" in found.findings[0].problem
    assert after.findings == [RAIN]


def test_the_command_shows_what_is_well_and_what_is_not(no_examinations: None) -> None:
    assert command_output("doctor").strip() == "All is well."
    examination("Weather")(lambda: [RAIN])
    lines = [line.strip() for line in command_output("doctor").splitlines()]
    assert lines == ["[warn] Weather: It rains.", "Take a coat.", "No problem, 1 warnings."]
    with pytest.raises(CommandError, match="0 problems, 1 warnings"):
        command_output("doctor", "--strict")


def test_the_command_fails_for_a_problem(no_examinations: None) -> None:
    examination("Weather")(lambda: [replace(RAIN, severity=Severity.PROBLEM)])
    with pytest.raises(CommandError, match="1 problems, 0 warnings"):
        command_output("doctor")
