"""worker_health: what a container's health check learns of its workers."""

import datetime as dt
import os
import socket
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.management import CommandError
from django.utils import timezone

from events.models import Process, RelayTerm
from tests.support.command_output import command_output

pytestmark = pytest.mark.django_db

LONG_AGO = dt.timedelta(minutes=2)


def beat(*, ago: dt.timedelta = dt.timedelta(0), **name: object) -> None:
    fields = {"kind": "worker", "host": socket.gethostname(), "pid": 2**22 + 1} | name
    Process.objects.create(beat_at=timezone.now() - ago, **fields)


def lead(*, until: dt.timedelta = dt.timedelta(seconds=3)) -> None:
    now = timezone.now()
    RelayTerm.objects.create(number=1, holder="relay", started_at=now, expires_at=now + until)


def complaint(*arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        command_output("worker_health", *arguments)
    assert caught.value.returncode == 1
    return str(caught.value)


def test_a_host_whose_worker_beats_is_healthy_while_a_relay_is_active_anywhere() -> None:
    beat()
    lead()
    assert "alive" in command_output("worker_health")


def test_a_host_without_a_fresh_heartbeat_of_its_own_is_not_healthy() -> None:
    lead()
    beat(host="elsewhere")
    beat(kind="web")
    beat(ago=LONG_AGO)
    said = complaint()
    assert "No worker and no relay" in said
    assert "rundramatiq" in said
    assert "alive" in command_output("worker_health", "--within", "300")


def test_a_worker_that_runs_and_is_silent_makes_its_host_unhealthy_and_one_that_was_killed_does_not() -> None:
    lead()
    beat()
    beat(pid=2**22 + 2, ago=LONG_AGO)
    assert "alive" in command_output("worker_health"), "there is no such process any more"
    with subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE) as reused:
        beat(pid=reused.pid, ago=LONG_AGO)
        assert "alive" in command_output("worker_health"), "it began after that heartbeat"
        reused.communicate(b"\n")
    beat(pid=os.getppid(), ago=dt.timedelta(seconds=1))
    said = complaint("--within", "0.5")
    assert f"The worker {os.getppid()} on {socket.gethostname()} runs and is silent" in said


def test_without_an_active_relay_no_host_is_healthy() -> None:
    beat()
    assert "No relay is active anywhere" in complaint()
    lead(until=-LONG_AGO)
    assert "manage.py relay" in complaint()


@pytest.mark.home
def test_a_database_that_does_not_answer_is_named_at_once_and_no_reason_to_restart_workers() -> None:
    elsewhere = {"DATABASE_URL": "postgres://nobody@127.0.0.1:9/none", "DEBUG": "on", "AIRY_TEST_CHILD": "on"}
    asked = subprocess.run(
        (sys.executable, "manage.py", "worker_health"),
        cwd=settings.BASE_DIR,
        env=os.environ | elsewhere,
        capture_output=True,
        text=True,
        timeout=25,
    )
    assert asked.returncode == 0
    assert "the database does not answer" in asked.stderr
    assert "refused" in asked.stderr
