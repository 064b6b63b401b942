"""Metrics: the figures of all processes, and of outbox, log and inbox, for Prometheus.

    from prometheus_client import REGISTRY
    REGISTRY.register(EventFigures())

Only this file needs prometheus-client, and only while it collects. Counts are those of all processes, also of those
that have ended (`worker/heartbeat.py`), so it does not matter which process is asked.
"""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from django.db import Error
from django.db.models import Count, Q
from django.db.models.functions import Now
from django.utils import timezone

from .brokers import relayed  # noqa: F401 - its figures are shown before a relay runs in this process
from .figures import OTHER, Family, Gauge, Histogram, Labels, Value, Values, families, from_json, gauged, plus
from .inbox.models import Delivery
from .outbox.models import OutboxMessage
from .relay.models import RelayTerm
from .repair.backlog import Backlog, backlogs
from .repair.controls import controls
from .subscription import subscriptions
from .worker.folding import told_figures
from .worker.heartbeat import beat_now

if TYPE_CHECKING:
    from prometheus_client.core import Metric

#: The kinds of processes that are shown even if none is alive.
KINDS = ("web", "worker", "relay")
#: Seconds for which a process remembers the backlogs, which take more statements than the rest.
BACKLOG_AGE = 10.0
#: What the database is asked for at each scrape, with its help text.
ASKED = {
    "airy_outbox_pending": "Deliveries owed now",
    "airy_outbox_scheduled": "Deliveries owed later: delayed, or retried",
    "airy_outbox_oldest_age_seconds": "How long the oldest delivery is owed",
    "airy_relay_active": "Relays that hold the lease: one, or none while no relay carries",
    "airy_dead_letters": "Deliveries given up, waiting for a person",
    "airy_retrying_deliveries": "Deliveries that failed and will be tried again",
    "airy_subscription_paused": "1 while an operator has paused the subscriber",
    "airy_backlog_events": "Events that a subscriber has not dealt with, dead letters aside; beyond 10,000 an estimate",
    "airy_backlog_oldest_age_seconds": "Age of the oldest event that a subscriber has not dealt with",
    "airy_processes": "Processes with a fresh heartbeat, by kind",
    "airy_worker_threads": "Threads of workers",
    "airy_worker_threads_busy": "Threads of workers that run a delivery",
}


class EventFigures:
    """A Prometheus collector.

    kind: what a process is called that has no heartbeat, and gets its row by this scrape.
    """

    def __init__(self, *, kind: str = "web") -> None:
        self._kind = kind

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering the collector makes no query."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The figures. Without a database those gauges alone that this process knows: counts of one process would be
        taken for those of all."""
        from prometheus_client.core import GaugeMetricFamily

        with suppress(Error):  # a database that is only read from: then the counts are those of the last beat
            beat_now(self._kind)
        try:
            found, up = [*self._told(), *_outbox(), *_deliveries(), *_backlogs(), *_paused()], 1
        except Error:
            gauges = {name: family for name, family in families.items() if isinstance(family, Gauge)}
            found, up = [_metric(family, gauged()) for family in gauges.values()], 0
        yield GaugeMetricFamily("airy_database_up", "Whether the database answers", up)
        yield from found

    def _told(self) -> Iterator[Metric]:
        counts: Values = {}
        gauges: Values = {}
        kinds, threads, busy = Tally(dict.fromkeys(KINDS, 0)), 0, 0
        for told in told_figures():
            counts = plus(counts, told.counts)
            gauges = _across(gauges, from_json(told.figures.get("gauges", {})))
            kinds.update([told.kind] if told.kind else ())
            threads += told.figures.get("threads", 0)
            busy += told.figures.get("busy", 0)
        for family in families.values():
            yield _metric(family, gauges if isinstance(family, Gauge) else counts)
        yield _gauge("airy_processes", {(kind,): number for kind, number in kinds.items()}, ["kind"])
        yield _gauge("airy_worker_threads", {(): threads})
        yield _gauge("airy_worker_threads_busy", {(): busy})


def _across(one: Values, other: Values) -> Values:
    """The gauges of two processes, or of more and another one."""
    result = plus(one, other)
    for key, value in other.items():
        family = families.get(key[0])
        if key in one and isinstance(family, Gauge) and family.across != "sum":
            result[key] = (min if family.across == "min" else max)(one[key], value)
    return result


def _metric(family: Family, values: Values) -> Metric:  # type: ignore[type-arg]
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    found = {labels: value for (name, labels), value in values.items() if name == family.name}
    if isinstance(family, Histogram):
        histogram = HistogramMetricFamily(family.name, family.documentation, labels=family.label_names)
        for labels in dict.fromkeys([*family.known(), *found]):
            counts, total = _buckets(family, found.get(labels, 0))
            edges = [*(str(bound) for bound in family.bounds), "+Inf"]
            histogram.add_metric(labels, list(zip(edges, counts, strict=True)), total)
        return histogram
    kind, otherwise = (GaugeMetricFamily, family.otherwise) if isinstance(family, Gauge) else (CounterMetricFamily, 0)
    metric = kind(family.name, family.documentation, labels=family.label_names)
    for labels in dict.fromkeys([*family.known(), *found]):
        metric.add_metric(labels, found.get(labels, otherwise))  # type: ignore[arg-type]
    return metric


def _buckets(family: Histogram, value: Value) -> tuple[list[float], float]:
    """How many values were at most each bound, and their sum."""
    if not isinstance(value, list) or len(value) != len(family.bounds) + 2:  # nothing yet, or of other bounds
        value = [0] * (len(family.bounds) + 2)
    counts, number = [], 0.0
    for each in value[:-1]:
        number += each
        counts.append(number)
    return counts, value[-1]


def _gauge(name: str, values: Mapping[Labels, float], labels: Iterable[str] = ()) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    metric = GaugeMetricFamily(name, ASKED[name], labels=list(labels))
    for key, value in values.items():
        metric.add_metric(key, value)
    return metric


def _outbox() -> Iterator[Metric]:
    is_owed = Q(due=None) | Q(due__lte=Now())
    rows = OutboxMessage.objects.aggregate(owed=Count("pk", filter=is_owed), later=Count("pk", filter=~is_owed))
    yield _gauge("airy_outbox_pending", {(): rows["owed"]})
    yield _gauge("airy_outbox_scheduled", {(): rows["later"]})
    yield _gauge("airy_outbox_oldest_age_seconds", {(): _oldest_age()})
    yield _gauge("airy_relay_active", {(): RelayTerm.objects.filter(expires_at__gt=Now()).count()})


def _oldest_age() -> float:
    """Seconds since the oldest row was new, or became due; 0 without such a row."""
    new = OutboxMessage.objects.filter(due=None).order_by("pk").values_list("event__time", flat=True)[:1]
    due = OutboxMessage.objects.due().values_list("due", flat=True)[:1]
    since = [moment for moment in (*new, *due) if moment is not None]
    return max(0.0, (timezone.now() - min(since)).total_seconds()) if since else 0.0


def _deliveries() -> Iterator[Metric]:
    """Dead letters and retries, by subscriber; those of subscribers that do not exist under one label."""
    rows = Delivery.objects.filter(state__in=(Delivery.State.DEAD, Delivery.State.RETRYING)).order_by()
    found: dict[str, dict[Labels, float]] = {
        state: {(name,): 0 for name in (*subscriptions, OTHER)}
        for state in (Delivery.State.DEAD, Delivery.State.RETRYING)
    }
    for name, state, number in rows.values_list("subscriber", "state").annotate(Count("pk")):
        found[state][(name if name in subscriptions else OTHER,)] += number
    yield _gauge("airy_dead_letters", found[Delivery.State.DEAD], ["subscriber"])
    yield _gauge("airy_retrying_deliveries", found[Delivery.State.RETRYING], ["subscriber"])


class _RememberedBacklogs:
    """The backlogs, asked for once in BACKLOG_AGE seconds by one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: list[Backlog] = []
        self._until = 0.0

    def get(self) -> list[Backlog]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._known = backlogs()
                self._until = time.monotonic() + BACKLOG_AGE
            return self._known


remembered_backlogs = _RememberedBacklogs()


def _paused() -> Iterator[Metric]:
    said = controls()
    paused = {name for name, control in said.items() if control.paused}
    yield _gauge("airy_subscription_paused", {(name,): float(name in paused) for name in subscriptions}, ["subscriber"])


def _backlogs() -> Iterator[Metric]:
    known = {(one.name,): one for one in remembered_backlogs.get() if one.name in subscriptions}
    names = [(name,) for name in subscriptions]
    events = {key: one.behind if one.is_exact else one.estimate for key, one in known.items()}
    ages = {key: one.oldest_age or 0.0 for key, one in known.items()}
    yield _gauge("airy_backlog_events", {key: events.get(key, 0) for key in names}, ["subscriber"])
    yield _gauge("airy_backlog_oldest_age_seconds", {key: ages.get(key, 0.0) for key in names}, ["subscriber"])
