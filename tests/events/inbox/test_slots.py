"""Every delivery runs in a slot of the process's pool, a group or batch in one, and waits while the pool is full."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from events.inbox import delivery
from events.inbox.delivery import process
from events.inbox.message import ReceivedMessage
from events.models import Delivery
from events.pool import TaskPool
from events.subscription import subscriptions
from tests.effects.models import Effect

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[TaskPool]:
    """A pool of one slot in the place of the process's own."""
    with TaskPool(1) as own:
        monkeypatch.setattr(delivery, "get_pool", lambda: own)
        yield own


def arrival(number: int) -> ReceivedMessage:
    event = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/elsewhere", "type": "bell.rang"}
    return ReceivedMessage.decode(json.dumps(event | {"data": {"number": number, "mood": "calm"}}).encode())


@pytest.mark.parametrize("name", ["effects.moody", "effects.in_batches", "effects.alone", "effects.asynchronous"])
def test_a_delivery_is_a_task_of_the_pool_and_so_is_a_whole_group(pool: TaskPool, name: str) -> None:
    process(subscriptions[name], [arrival(number) for number in range(3)])
    assert pool.stats().completed == 1
    assert Effect.objects.count() == 3


def test_a_delivery_waits_while_the_pool_is_full_and_has_no_effect_until_then(
    pool: TaskPool, eventually: Callable[..., None]
) -> None:
    opened = threading.Event()

    def deliver() -> None:
        try:
            process(subscriptions["effects.alone"], [arrival(1)])
        finally:
            connection.close()

    pool.submit(opened.wait)
    delivering = threading.Thread(target=deliver)
    delivering.start()
    eventually(lambda: pool.waiting == 1)
    assert (pool.running, pool.free) == (1, 0)
    assert not Delivery.objects.exists()
    opened.set()
    delivering.join(20)
    assert not delivering.is_alive()
    assert Effect.objects.count() == 1
