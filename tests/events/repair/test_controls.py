"""Controls: pause, resume and concurrency by command and admin, and what workers do that cannot read them."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

import dramatiq
import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from dramatiq.worker import Worker

from events.brokers.contract import EventBroker
from events.control import Control
from events.models import Subscription
from events.repair.announce import announce
from events.repair.controls import controls, pause
from events.worker import controls as watching
from events.worker.controls import ControlsWatch
from tests.support.command_output import command_output
from tests.support.effects import ring
from tests.support.factories import UserFactory
from tests.support.old_events import ring_ago

pytestmark = pytest.mark.django_db

NAME = "effects.alone"
run = partial(command_output, "subscriptions")


@pytest.fixture(autouse=True)
def announced() -> None:
    announce()


def test_the_command_pauses_says_so_and_resumes() -> None:
    assert "within 5 seconds" in run("pause", NAME, "--reason", "disk full")
    assert controls() == {NAME: Control(paused=True)}
    (line,) = (line for line in run().splitlines() if NAME in line)
    assert "disk full" in line
    announce()  # a worker starts
    assert controls() == {NAME: Control(paused=True)}
    assert "goes on" in run("resume", NAME)
    assert controls() == {}
    assert "was not paused" in run("resume", NAME)


def test_a_second_pause_keeps_the_time_of_the_first() -> None:
    pause(NAME, by="one")
    before = Subscription.objects.get(name=NAME).paused_at
    pause(NAME, by="two", reason="still")
    row = Subscription.objects.get(name=NAME)
    assert (row.paused_at, row.paused_by, row.pause_reason) == (before, "two", "still")


def test_the_concurrency_is_set_and_set_back() -> None:
    run("concurrency", NAME, "3")
    assert controls() == {NAME: Control(concurrency=3)}
    run("concurrency", NAME, "default")
    assert controls() == {}


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (("pause", "effects.alon"), "did you mean effects.alone"),
        (("resume", "shop.unknown"), "No subscription is named 'shop.unknown': there are"),
        (("concurrency", NAME, "0"), "from 1 to 10,000; it is 0. To let nothing run, pause it"),
        (("concurrency", NAME, "many"), "nor `default`"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_cure(words: tuple[str, ...], cure: str) -> None:
    with pytest.raises(CommandError, match=cure):
        run(*words)
    assert controls() == {}


def test_a_paused_subscription_holds_pruning_up_by_name_and_says_since_when(settings: Any) -> None:
    settings.EVENTS_KEEP = {"bell.*": dt.timedelta(days=30)}
    ring_ago(dt.timedelta(days=31), 2)
    ring(1, start=2)
    pause(NAME, by="ada")
    said = command_output("prune")
    (line,) = (line for line in said.splitlines() if NAME in line)
    assert "paused since" in line
    assert "by ada" in line


def test_the_admin_pauses_and_resumes_and_writes_down_who_did(client: Client) -> None:
    operator = UserFactory(is_staff=True, is_superuser=True)
    client.force_login(operator)
    page = reverse("admin:events_subscription_changelist")
    chosen = {"_selected_action": [NAME]}
    answer = client.post(page, {"action": "pause"} | chosen, follow=True)
    assert "within 5 seconds" in answer.content.decode()
    assert str(operator) in answer.content.decode()
    assert controls() == {NAME: Control(paused=True)}
    answer = client.post(page, {"action": "resume"} | chosen, follow=True)
    assert "1 subscription resumed" in answer.content.decode()
    assert controls() == {}
    said = LogEntry.objects.filter(user=operator).order_by("pk").values_list("object_id", "change_message")
    assert list(said) == [(NAME, "Paused."), (NAME, "Resumed.")]


def test_a_worker_that_cannot_read_them_at_its_start_hands_out_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = dramatiq.get_broker()
    assert isinstance(broker, EventBroker)

    def fail() -> dict[str, Control]:
        raise OperationalError("the database does not answer")

    monkeypatch.setattr(watching, "controls", fail)
    monkeypatch.setattr(watching, "discard", lambda connection: None)
    watch = ControlsWatch()
    worker = Worker(broker, worker_threads=1)
    watch.before_worker_boot(broker, worker)
    try:
        assert broker.share.control_of(NAME).paused
        monkeypatch.setattr(watching, "controls", controls)
        watch._look(broker)
        assert not broker.share.control_of(NAME).paused
        monkeypatch.setattr(watching, "controls", fail)
        broker.share.control({NAME: Control(paused=True)})
        watch._look(broker)
        assert broker.share.control_of(NAME).paused, "what was read last holds"
    finally:
        watch.after_worker_shutdown(broker, worker)
        broker.share.control({})
