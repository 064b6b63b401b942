"""Prune beside a site: who emits does not notice."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from events.bus import emit
from events.models import Delivery, StoredEvent
from events.outbox.event_id import lowest_id
from events.outbox.models import OutboxMessage
from events.repair.announce import announce
from events.repair.partitions import log_and_inbox
from tests.conformance.processes import Manage
from tests.effects.events import Rang
from tests.support.old_events import ring_ago
from tests.support.partitions import partition_past

#: Old events, and events that are emitted in one stretch.
OLD, EMITTED = 30_000, 1_000
PARTITIONS = 12
#: How many times longer the slowest hundredth may take beside prune.
SLOWER = 1.5


def times_of_emit(number: int) -> list[float]:
    """The seconds that each of so many transactions took which emit one event, 200 a second."""
    took = []
    for one in range(number):
        began = time.perf_counter()
        with transaction.atomic():
            emit(Rang(number=one))
        took.append(time.perf_counter() - began)
        time.sleep(0.005)  # the pace of a site
    return took


def p99_of_emit(number: int = EMITTED) -> float:
    """The seconds of the slowest hundredth of them."""
    return sorted(times_of_emit(number))[int(number * 0.99)]


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


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.django_db(transaction=True)
def test_emit_takes_hardly_longer_while_partitions_are_dropped(
    manage: Manage, eventually: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    announce()
    shown = len(log_and_inbox().shown())
    for number in range(PARTITIONS):
        partition_past(days_ago=60 - number)
        for start in range(0, OLD // PARTITIONS, 500):
            ring_ago(timedelta(days=59, hours=12) - timedelta(days=number), 500, start=start)
    OutboxMessage.objects.all().delete()
    done_everywhere()
    StoredEvent.objects.filter(data__number__lt=5).delete()  # the inbox has these alone: they are moved
    alone = min(p99_of_emit() for _ in range(2))
    before = StoredEvent.objects.filter(event_id__lt=lowest_id(timezone.now() - timedelta(days=30))).count()
    pruner = manage("prune", "--rate", "3000/s", EVENTS_KEEP="*=30d")
    eventually(lambda: len(log_and_inbox().shown()) < shown + 2 * PARTITIONS, within=60)
    took: list[float] = []
    while pruner.poll() is None:
        took += times_of_emit(100)
    assert pruner.returncode == 0, manage.log()
    assert len(took) >= EMITTED
    beside = sorted(took)[int(len(took) * 0.99)]
    left = StoredEvent.objects.filter(event_id__lt=lowest_id(timezone.now() - timedelta(days=30))).count()
    with capsys.disabled():
        print(  # noqa: T201 - the figure
            f"p99 of emit: {alone * 1000:.2f} ms alone, {beside * 1000:.2f} ms while {before - left:,} events went with"
            f" {PARTITIONS} partitions; the slowest of {len(took):,} took {max(took) * 1000:.0f} ms"
        )
    assert left == 0
    assert beside <= SLOWER * alone
