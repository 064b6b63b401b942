"""Metrics: the figures of this installation and of this process, as Prometheus reads them."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields

from django.db import Error
from django.db.models import Count, Q
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from events.models import DeadLetter, Delivery, OutboxMessage, Process
from events.pool import PoolStats, get_pool

POOL_FIGURES = tuple(field.name for field in fields(PoolStats))


class Figures(Collector):
    """Asked at each scrape: what the database knows, and the pools of the living processes by their kind."""

    def describe(self) -> Iterable[Metric]:
        """Nothing: it would ask the database at import."""
        return ()

    def collect(self) -> Iterator[Metric]:
        try:
            figures, up = [*_outbox(), _dead_letters(), *_processes()], 1
        except Error:
            figures, up = [*_pools([("this", asdict(get_pool().stats()))])], 0
        yield GaugeMetricFamily("airy_database_up", "Whether the database answers", up)
        yield from figures


REGISTRY.register(Figures())


@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Figures without names of people; a handful of indexed queries."""
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def _outbox() -> Iterator[Metric]:
    is_owed = Q(due=None) | Q(due__lte=Now())
    rows = OutboxMessage.objects.aggregate(owed=Count("pk", filter=is_owed), later=Count("pk", filter=~is_owed))
    yield GaugeMetricFamily("airy_outbox_pending", "Deliveries owed now", rows["owed"])
    yield GaugeMetricFamily("airy_outbox_scheduled", "Deliveries owed later: delayed, or retried", rows["later"])
    yield GaugeMetricFamily("airy_outbox_oldest_age_seconds", "How long the oldest delivery is owed", _oldest_age())


def _oldest_age() -> float:
    fresh = OutboxMessage.objects.filter(due=None).order_by("pk").values_list("event__time", flat=True)[:1]
    ripe = OutboxMessage.objects.ripe().values_list("due", flat=True)[:1]
    since = [moment for moment in (*fresh, *ripe) if moment is not None]
    return max(0.0, (timezone.now() - min(since)).total_seconds()) if since else 0.0


def _dead_letters() -> Metric:
    dead = DeadLetter.objects.filter(state=Delivery.State.DEAD).count()
    return GaugeMetricFamily("airy_dead_letters", "Deliveries given up, waiting for a person", dead)


def _processes() -> Iterator[Metric]:
    alive = list(Process.objects.alive())
    processes = GaugeMetricFamily("airy_processes", "Processes with a fresh heartbeat", labels=["kind"])
    for kind, number in sorted(Counter(process.kind for process in alive).items()):
        processes.add_metric([kind], number)
    yield processes
    pools = [(process.kind, process.figures.get("pool", {})) for process in alive if not _is_this(process)]
    yield from _pools([("this", asdict(get_pool().stats())), *pools])


def _pools(pools: list[tuple[str, dict[str, int]]]) -> Iterator[Metric]:
    """The task pools: this process's own, and those of the others as their last heartbeats told, summed by kind."""
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
