"""Backpressure end to end: a full pool leaves the work in the broker, and the figures say so while it lasts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dramatiq
import pika
import psycopg
import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils.html import strip_tags

from events.bus import emit_many
from events.models import Delivery, OutboxMessage, Process
from events.subscription import queue_of
from tests.conformance.processes import Manage, database_url
from tests.effects.events import Knocked
from tests.effects.models import Stay
from tests.effects.subscribers import GATE
from tests.support.factories import UserFactory

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]

Eventually = Callable[..., None]

POOL = 4
NAME = "effects.stand_before_the_gate"
#: Messages a process may hold for the queue: one in each slot, and one for the next that comes free.
IN_MEMORY = POOL + 1


@contextmanager
def closed_gate() -> Iterator[None]:
    """Nobody passes while inside."""
    with psycopg.connect(database_url(), autocommit=True) as keeper:
        keeper.execute("SELECT pg_advisory_lock(%s)", [GATE])
        yield


def standing() -> int:
    """How many runs of the subscriber stand before the gate."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [GATE],
        )
        return cursor.fetchone()[0]


def waiting_in_broker() -> int:
    with pika.BlockingConnection(dramatiq.get_broker().parameters) as link:
        return link.channel().queue_declare(queue_of(NAME), passive=True).method.message_count


def resident(pid: int) -> float:
    """Megabytes of memory a process has."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def most_at_once() -> int:
    """The most runs that overlapped, from what they wrote."""
    changes = sorted(change for stay in Stay.objects.all() for change in ((stay.began, 1), (stay.ended, -1)))
    at_once = most = 0
    for _, change in changes:
        at_once += change
        most = max(most, at_once)
    return most


@pytest.mark.parametrize("events", [500, pytest.param(2_000, marks=pytest.mark.slow)])
def test_a_full_pool_leaves_the_work_in_the_broker_and_the_figures_say_so(
    manage: Manage, eventually: Eventually, client: Client, events: int
) -> None:
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    with transaction.atomic():
        emit_many([Knocked(number=number) for number in range(events)])
    memory: list[float] = []
    seen: set[int] = set()
    with closed_gate():
        manage.worker(threads=8, GOROUTINE_POOL_SIZE=str(POOL))
        eventually(lambda: standing() == POOL and not OutboxMessage.objects.exists(), within=90)
        first_beat = Process.objects.get(kind="worker").beat_at

        def beaten(times: int) -> bool:
            process = Process.objects.get(kind="worker")
            memory.append(resident(process.pid))
            seen.add(standing())
            return (process.beat_at - first_beat).total_seconds() > 4.5 * times

        eventually(lambda: beaten(2), within=60)
        assert seen == {POOL}
        assert waiting_in_broker() == events - IN_MEMORY
        assert max(memory) - memory[0] < 10
        process = Process.objects.get(kind="worker")
        assert {"running": POOL, "free": 0, "capacity": POOL}.items() <= process.figures["pool"].items()
        page = strip_tags(client.get("/admin/events/process/").content.decode())
        assert re.search(r"running\W+4\b", page)
        assert re.search(r"free\W+0\b", page)
    eventually(lambda: Delivery.objects.filter(subscriber=NAME, state="done").count() == events, within=180)
    assert sorted(Stay.objects.values_list("number", flat=True)) == list(range(events))
    assert most_at_once() == POOL
    eventually(lambda: waiting_in_broker() == 0)
