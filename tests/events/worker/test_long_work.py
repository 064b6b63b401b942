"""Long work: a chain of chunks survives a stop and a kill of its worker, and RabbitMQ's consumer_timeout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import transaction

from events.bus import emit
from events.models import Attempt, Delivery, OutboxMessage, StoredEvent
from tests.conformance.processes import Manage
from tests.effects.events import Walked
from tests.effects.models import Effect
from tests.support.servers.rabbitmq import running_node

Eventually = Callable[..., None]


def walk(*, steps: int, seconds: float) -> None:
    with transaction.atomic():
        emit(Walked(number=1, steps=steps, seconds=seconds))


def steps() -> list[int]:
    return list(Effect.objects.filter(subscriber="walk_1").order_by("pk").values_list("number", flat=True))


def assert_walked(total: int) -> None:
    """Each step once and in order, for the one subscriber alone, and each caused by the one before."""
    assert steps() == list(range(total))
    assert Effect.objects.filter(subscriber="seen_1").count() == 1
    assert set(Delivery.objects.values_list("state", flat=True)) == {"done"}
    events = list(StoredEvent.objects.order_by("sequence"))
    assert [event.causation_id for event in events[1:]] == [event.event_id for event in events[:-1]]


def walked(total: int) -> bool:
    return len(steps()) >= total and not OutboxMessage.objects.exists()


@pytest.mark.parametrize("total", [24, pytest.param(400, marks=pytest.mark.slow)])
def test_long_work_survives_a_stop_and_a_kill_of_its_worker(manage: Manage, eventually: Eventually, total: int) -> None:
    walk(steps=total, seconds=0.05)
    worker = manage.worker()
    eventually(lambda: len(steps()) >= total // 4, within=60)
    worker.terminate()  # as a deploy does
    assert worker.wait(60) == 0
    stopped_at = len(steps())
    assert stopped_at < total
    worker = manage.worker()
    eventually(lambda: len(steps()) >= stopped_at + total // 4, within=60)
    manage.kill(worker)
    assert len(steps()) < total
    manage.worker()
    eventually(lambda: walked(total), within=60 + total)
    assert_walked(total)


@pytest.mark.postgres
@pytest.mark.rabbitmq
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_long_work_in_chunks_outlasts_the_consumer_timeout_that_ends_one_long_delivery(
    manage: Manage, eventually: Eventually, tmp_path: Path
) -> None:
    configuration = "[{rabbit, [{consumer_timeout, 4000}, {channel_tick_interval, 500}]}]."
    with running_node(tmp_path / "node", configuration=configuration) as node:
        log = tmp_path / "node" / "node.log"
        rabbitmq = {
            "MQ_HOST": "127.0.0.1",
            "MQ_PORT": str(node.port),
            "MQ_USER": "guest",
            "MQ_PASSWORD": "guest",
            "MQ_VHOST": "/",
        }
        worker = manage.worker(**rabbitmq)
        walk(steps=40, seconds=0.4)
        eventually(lambda: walked(40), within=120)
        assert_walked(40)
        assert "imed out" not in log.read_text()
        assert not Attempt.objects.exists()
        with transaction.atomic():
            emit(Walked(number=2, steps=1, seconds=16.0))
        eventually(lambda: "imed out" in log.read_text(), within=60)
        eventually(lambda: Effect.objects.filter(subscriber="walk_2").exists(), within=120)
        worker.terminate()
        worker.wait(60)
