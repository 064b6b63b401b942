"""Prune beside a site: who emits does not notice."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import transaction

from events.bus import emit
from events.models import Delivery, StoredEvent
from events.outbox.models import OutboxMessage
from events.repair.announce import announce
from tests.conformance.processes import Manage
from tests.effects.events import Rang
from tests.support.old_events import ring_ago

#: Old events, and events that are emitted in one stretch.
OLD, EMITTED = 30_000, 1_000
#: How many times longer the slowest hundredth may take beside prune.
SLOWER = 1.5


def p99_of_emit(number: int = EMITTED) -> float:
    """The seconds of the slowest hundredth of transactions that emit one event each, 200 a second."""
    took = []
    for one in range(number):
        began = time.perf_counter()
        with transaction.atomic():
            emit(Rang(number=one))
        took.append(time.perf_counter() - began)
        time.sleep(0.005)  # the pace of a site
    return sorted(took)[int(number * 0.99)]


def done_everywhere() -> None:
    ids = list(StoredEvent.objects.values_list("event_id", flat=True))
    for name in ("moody", "in_batches", "alone", "asynchronous"):
        rows = [Delivery(event_id=event_id, subscriber=f"effects.{name}", state="done") for event_id in ids]
        Delivery.objects.bulk_create(rows, batch_size=5_000)


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.django_db(transaction=True)
def test_emit_takes_hardly_longer_while_events_are_pruned(manage: Manage, capsys: pytest.CaptureFixture[str]) -> None:
    announce()
    for start in range(0, OLD, 5_000):
        ring_ago(timedelta(days=2), 5_000, start=start)
    OutboxMessage.objects.all().delete()
    done_everywhere()
    alone = min(p99_of_emit() for _ in range(2))
    before = StoredEvent.objects.count()
    pruner = manage("prune", "--rate", "2000/s", EVENTS_KEEP="*=1d")
    began = time.monotonic()
    while StoredEvent.objects.filter(pk__lte=before).count() == before:
        assert time.monotonic() - began < 60, manage.log()
        time.sleep(0.05)
    beside = p99_of_emit()
    assert pruner.poll() is None, "it ended before the emitting did"
    gone = before - StoredEvent.objects.filter(pk__lte=before).count()
    with capsys.disabled():
        print(f"p99 of emit: {alone * 1000:.2f} ms alone, {beside * 1000:.2f} ms beside prune ({gone:,} events)")  # noqa: T201 - the figure
    assert beside <= SLOWER * alone
    Manage.kill(pruner)
