"""The memory of a relay does not grow with the size of what waits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import transaction

from events.bus import emit
from events.models import OutboxMessage
from tests.conformance.processes import Manage
from tests.conformance.rabbitmq import remove_queues
from tests.effects.events import Rang

Eventually = Callable[..., None]
MEGABYTE = 1_000_000
#: Megabytes that a relay may take, with Django and everything.
MOST = 200


def peak_of(pid: int) -> int:
    """The most memory that a process has taken, in megabytes."""
    (line,) = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


@pytest.mark.rabbitmq
@pytest.mark.postgres
@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [60, pytest.param(500, marks=pytest.mark.slow)])
def test_large_events_that_wait_are_carried_in_bounded_memory(
    manage: Manage, eventually: Eventually, count: int
) -> None:
    for number in range(count):
        with transaction.atomic():
            emit(Rang(number=number, mood="x" * MEGABYTE))
    relay = manage("relay")
    eventually(lambda: not OutboxMessage.objects.exists(), within=300)
    peak = peak_of(relay.pid)
    manage.stop()
    remove_queues()
    assert peak < MOST, f"{peak} MB"
