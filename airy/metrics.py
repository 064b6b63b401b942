"""Metrics: the page that Prometheus reads."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from events.metrics import EventFigures

REGISTRY.register(EventFigures())


@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures of this installation and of this process. They contain no names of people."""
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)
