"""Probes: the addresses that load balancers and Prometheus ask, by IP and by plain HTTP."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from airy.health import healthz, readyz
from airy.metrics import metrics

PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": metrics,
}


class Probes:
    """Middleware: answers the probes before any redirect to HTTPS, and whatever the Host header says."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if (probe := PROBES.get(request.path_info)) is None:
            return self._get_response(request)
        return probe(request)
