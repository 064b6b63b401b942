"""Workers in processes of their own, on whatever broker this run has: embedded at home, RabbitMQ on services."""

import random
from collections.abc import Callable

import pytest
from django.db import transaction
from django.utils import timezone

from events.bus import emit
from events.models import Attempt, Delivery, OutboxMessage, Process, Subscription
from tests.conformance.processes import Manage
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.support.effects import all_done, assert_one_effect_each, ring

Eventually = Callable[..., None]


def test_workers_do_each_event_once_per_subscriber(manage: Manage, eventually: Eventually) -> None:
    ring(300)
    manage("rundramatiq", "--processes", "2", "--threads", "4")
    eventually(lambda: all_done(300), within=60)
    ring(50, start=300)
    eventually(lambda: all_done(350), within=30)
    assert_one_effect_each(350)
    assert not Attempt.objects.exists()
    assert set(Subscription.objects.values_list("name", flat=True)) >= {"effects.moody", "effects.asynchronous"}
    assert Process.objects.alive().filter(kind="worker").count() == 2


@pytest.mark.parametrize(("kills", "events"), [(3, 100), pytest.param(4, 200, marks=pytest.mark.slow)])
def test_killed_workers_lose_nothing_and_double_nothing(
    manage: Manage, eventually: Eventually, kills: int, events: int
) -> None:
    dice = random.Random(7)
    total = 0
    for _ in range(kills):
        ring(events, start=total)
        total += events
        worker = manage.worker()
        goal = dice.randrange(total * 4)
        eventually(lambda goal=goal: Delivery.objects.count() >= goal, within=60)
        manage.kill(worker)
    manage.worker()
    eventually(lambda: all_done(total), within=90)
    assert_one_effect_each(total)


def test_a_retry_comes_by_itself(manage: Manage, eventually: Eventually) -> None:
    manage.worker()
    ring(1, mood="twice")
    eventually(lambda: all_done(1), within=60)
    assert Effect.objects.get(subscriber="moody").attempt == 3


def test_a_message_that_kills_its_worker_ends_as_a_dead_letter_and_its_neighbours_are_done(
    manage: Manage, eventually: Eventually
) -> None:
    ring(20)
    with transaction.atomic():
        emit(Rang(number=20, mood="killer"))
    ring(20, start=21)

    manage.worker()
    eventually(lambda: all_done(41), within=120)
    dead = Delivery.objects.get(state="dead")
    assert dead.subscriber == "effects.moody"
    assert "kills its worker" in dead.reason
    assert sorted(Effect.objects.filter(subscriber="moody").values_list("number", flat=True)) == [
        number for number in range(41) if number != 20
    ]


def test_what_is_owed_to_a_subscriber_nobody_has_becomes_a_dead_letter(manage: Manage, eventually: Eventually) -> None:
    ring(1)
    event_id = OutboxMessage.objects.get().event_id
    due = timezone.now()
    OutboxMessage.objects.schedule([OutboxMessage(event_id=event_id, subscriber="effects.renamed", due=due, attempt=2)])
    manage.worker()
    eventually(lambda: Delivery.objects.filter(subscriber="effects.renamed", state="dead").exists(), within=60)
    dead = Delivery.objects.get(subscriber="effects.renamed")
    assert "old name with name=" in dead.reason
    assert b"bell.rang" in bytes(dead.body)
    eventually(lambda: not OutboxMessage.objects.exists(), within=30)
