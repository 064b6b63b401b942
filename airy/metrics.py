"""Metrics: the page that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_network

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from events.metrics import EventFigures
from feeds.limits import redis_state
from feeds.limits.addresses import parse

#: The networks whose addresses are not reached from outside.
PRIVATE = tuple(
    map(
        ip_network,
        (
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)


class RedisFigure:
    """A Prometheus collector: whether Redis answers, where one is set."""

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering the collector asks nobody."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One gauge; without a value if no Redis is set."""
        metric = GaugeMetricFamily("airy_redis_up", "Whether Redis answers; the limits work without it", labels=[])
        if (state := redis_state()) is not None:
            metric.add_metric([], state == "ok")
        yield metric


#: Not prometheus-client's own registry: what it says of one process jumps as another one is asked.
REGISTRY = CollectorRegistry()
REGISTRY.register(EventFigures())
REGISTRY.register(RedisFigure())


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures of this installation: of all its processes. They contain no names of people.

    With METRICS_TOKEN for who sends it as a Bearer token, else for private addresses. 403 for others.
    """
    if not (_has_token(request) if settings.METRICS_TOKEN else _is_private(request)):
        return HttpResponse("For private addresses, or with METRICS_TOKEN.\n", status=403, content_type="text/plain")
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def _has_token(request: HttpRequest) -> bool:
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and constant_time_compare(token.strip(), settings.METRICS_TOKEN)


def _is_private(request: HttpRequest) -> bool:
    """Whether the client's address is private. The gate takes out what a trusted proxy forwarded: if the header is
    still there, an unknown proxy stands before us, and the address may be that of the proxy."""
    address = parse(request.META.get("REMOTE_ADDR") or "")
    forwarded = "X-Forwarded-For" in request.headers
    return address is not None and not forwarded and any(address in network for network in PRIVATE)
