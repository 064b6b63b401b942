"""The embedded mode under kill -9: the outbox is all it has, and it is enough."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, connections, transaction

from events.bus import emit
from events.models import Delivery
from tests.conformance.processes import Manage
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.support.effects import SUBSCRIBERS

pytestmark = pytest.mark.home

#: No more events are emitted while so many wait: the load is as high as the machine bears, and not higher.
UNDER_WAY = 100
#: Final states by subscriber, straight from the tables.
ACCOUNTED = """
    SELECT d.subscriber, count(*), count(DISTINCT d.event_id) FROM events_delivery d
    JOIN events_storedevent e ON e.event_id = d.event_id
    WHERE e.topic = 'bell.rang' AND d.state = 'done' AND d.run = 0 GROUP BY d.subscriber
"""
OPEN = (
    "SELECT (SELECT count(*) FROM events_outboxmessage) + (SELECT count(*) FROM events_delivery WHERE state <> 'done')"
)


@contextmanager
def writing(emitted: list[int]) -> Iterator[None]:
    """Emit from this process all the while, one committed event after the other; every seventh fails at first."""
    stopped = threading.Event()
    errors: list[BaseException] = []

    def write() -> None:
        dice = random.Random(3)
        try:
            while not stopped.is_set():
                if len(emitted) - Effect.objects.filter(subscriber="alone").count() > UNDER_WAY:
                    stopped.wait(0.05)
                    continue
                count = dice.choice((1, 1, 3, 10))
                numbers = range(len(emitted), len(emitted) + count)
                with transaction.atomic():
                    for number in numbers:
                        emit(Rang(number=number, mood="calm" if number % 7 else "twice"))
                emitted.extend(numbers)
                stopped.wait(count / 40)
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("command", ["up", "rundramatiq"])
@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_kills_at_random_moments_lose_nothing_and_double_nothing(
    manage: Manage, eventually: Callable[..., None], command: str, kills: int
) -> None:
    dice = random.Random(17)
    emitted: list[int] = []
    effects = Effect.objects.all()
    with writing(emitted):
        for _ in range(kills):
            server = start(manage, command)
            before, more = effects.count(), dice.randrange(1, 120)
            eventually(lambda goal=before + more: effects.count() >= goal, within=90)
            manage.kill(server)
    server = start(manage, command)
    eventually(lambda: ask(OPEN)[0][0] == 0, within=120)
    os.killpg(server.pid, signal.SIGTERM)
    assert ask(ACCOUNTED) == sorted((f"effects.{name}", len(emitted), len(emitted)) for name in names())
    for name in SUBSCRIBERS:
        counted = Counter(effects.filter(subscriber=name).values_list("number", flat=True))
        assert counted == Counter(emitted), name
    assert charged() <= kills
    print(f"{command} on {connection.vendor}: {len(emitted)} events, {kills} kills, 0 lost, 0 doubled")  # noqa: T201


def names() -> list[str]:
    """The subscribers' own names: one has another than its function."""
    return [{"with_await": "asynchronous"}.get(name, name) for name in SUBSCRIBERS]


def charged() -> int:
    """How many attempts were counted that had no outcome; `moody` fails by itself, too."""
    attempts = Delivery.objects.exclude(subscriber="effects.moody").values_list("attempts", flat=True)
    return sum(attempts) - len(attempts)


def start(manage: Manage, command: str):
    if command == "rundramatiq":
        return manage.worker(AIRY_BROKER="embedded")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return manage("up", f"127.0.0.1:{port}", AIRY_BROKER="embedded")


def ask(sql: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return sorted(cursor.fetchall())
