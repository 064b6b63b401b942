"""Metrics: the figures of outbox, dead letters, processes and task pools, for Prometheus.

    from prometheus_client import REGISTRY
    REGISTRY.register(EventFigures())

Only this file needs prometheus-client, and only while it collects.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from django.db import Error
from django.db.models import Count, Q
from django.db.models.functions import Now
from django.utils import timezone

from .inbox.models import DeadLetter, Delivery
from .outbox.models import OutboxMessage
from .pool import PoolStats, get_pool
from .worker.models import Process

if TYPE_CHECKING:
    from prometheus_client.core import Metric

POOL_FIGURES = tuple(field.name for field in fields(PoolStats))


class EventFigures:
    """A Prometheus collector. Each scrape makes a handful of indexed queries."""

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering the collector makes no query."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The figures; without a database those of this process's pool alone."""
        from prometheus_client.core import GaugeMetricFamily

        try:
            figures, up = [*_outbox(), _dead_letters(), *_processes()], 1
        except Error:
            figures, up = [*_pools([("this", asdict(get_pool().stats()))])], 0
        yield GaugeMetricFamily("airy_database_up", "Whether the database answers", up)
        yield from figures


def _outbox() -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    is_owed = Q(due=None) | Q(due__lte=Now())
    rows = OutboxMessage.objects.aggregate(owed=Count("pk", filter=is_owed), later=Count("pk", filter=~is_owed))
    yield GaugeMetricFamily("airy_outbox_pending", "Deliveries owed now", rows["owed"])
    yield GaugeMetricFamily("airy_outbox_scheduled", "Deliveries owed later: delayed, or retried", rows["later"])
    yield GaugeMetricFamily("airy_outbox_oldest_age_seconds", "How long the oldest delivery is owed", _oldest_age())


def _oldest_age() -> float:
    """Seconds since the oldest row was new, or became due; 0 without such a row."""
    new = OutboxMessage.objects.filter(due=None).order_by("pk").values_list("event__time", flat=True)[:1]
    due = OutboxMessage.objects.due().values_list("due", flat=True)[:1]
    since = [moment for moment in (*new, *due) if moment is not None]
    return max(0.0, (timezone.now() - min(since)).total_seconds()) if since else 0.0


def _dead_letters() -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    dead = DeadLetter.objects.filter(state=Delivery.State.DEAD).count()
    return GaugeMetricFamily("airy_dead_letters", "Deliveries given up, waiting for a person", dead)


def _processes() -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    alive = list(Process.objects.alive())
    processes = GaugeMetricFamily("airy_processes", "Processes with a fresh heartbeat", labels=["kind"])
    for kind, number in sorted(Counter(process.kind for process in alive).items()):
        processes.add_metric([kind], number)
    yield processes
    for name, meaning in (("threads", "Threads of workers"), ("busy", "Threads of workers that run a delivery")):
        number = sum(process.figures.get(name, 0) for process in alive)
        yield GaugeMetricFamily(f"airy_worker_threads{'_busy' if name == 'busy' else ''}", meaning, number)
    pools = [(process.kind, process.figures.get("pool", {})) for process in alive if not _is_this(process)]
    yield from _pools([("this", asdict(get_pool().stats())), *pools])


def _pools(pools: list[tuple[str, dict[str, int]]]) -> Iterator[Metric]:
    """The task pools: this process's own, and those of the others as in their last heartbeats, summed by kind."""
    from prometheus_client.core import GaugeMetricFamily

    for name in POOL_FIGURES:
        sums = Counter[str]()
        for kind, figures in pools:
            sums[kind] += figures.get(name, 0)
        family = GaugeMetricFamily(f"airy_pool_{name}", f"Task pools: {name}", labels=["process"])
        for kind, number in sums.items():
            family.add_metric([kind], number)
        yield family


def _is_this(process: Process) -> bool:
    return (process.host, process.pid) == (socket.gethostname(), os.getpid())
