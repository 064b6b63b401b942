"""Tracing: OpenTelemetry's SDK set up in this process, and the span of each HTTP request.

Imported only where traces are sent (docs/operations.md). The span of a request is made here and not by
opentelemetry-instrumentation-asgi: that one is in beta, makes further spans of each part of a body, keeps one for each
open socket, and records paths, which have usernames.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings
from django.urls import Resolver404, resolve
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from airy.gate.proxies import Proxies
from feeds.limits.addresses import parse

#: Paths of probes and files: so many, and so much the same, that they would hide what people do.
UNTRACED = ("/healthz", "/readyz", "/metrics", settings.STATIC_URL)
#: Seconds for which an exporter says the same once.
SAY_AGAIN_AFTER = 300.0
#: What says that spans cannot be sent, or are dropped.
EXPORTERS = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")

Application = Callable[[Any, Any, Any], Awaitable[Any]]


def set_up(kind: str) -> None:
    """Send the spans of this process to the collector, from a thread of their own. kind: what the process does.

    A collector that does not answer holds nothing up: at most 2,048 spans wait (OTEL_BSP_MAX_QUEUE_SIZE), then the
    oldest are dropped.
    """
    attributes = {"airy.process": kind}
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        attributes["service.name"] = "airy"
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    for name in EXPORTERS:
        logging.getLogger(name).addFilter(Seldom(SAY_AGAIN_AFTER))


class Seldom(logging.Filter):
    """Lets each kind of line pass once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - self._said.get(record.msg, -self._seconds) < self._seconds:
            return False
        self._said[record.msg] = now
        return True


class TracedRequests:
    """Around the whole application: a span for each HTTP request, named by the pattern of its address."""

    def __init__(self, application: Application, tracer: trace.Tracer) -> None:
        self._application, self._tracer = application, tracer
        self._proxies = Proxies(settings.TRUSTED_PROXIES)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        if scope["type"] != "http" or scope["path"].startswith(UNTRACED):
            return await self._application(scope, receive, send)
        route = route_of(scope["path"])
        attributes = {"http.request.method": scope["method"], "url.scheme": scope["scheme"]}
        with self._tracer.start_as_current_span(
            f"{scope['method']} {route}".strip(),
            self._parent(scope),
            kind=trace.SpanKind.SERVER,
            attributes=attributes | ({"http.route": route} if route else {}),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            async def answer(message: Mapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_attribute("error.type", str(message["status"]))
                        span.set_status(trace.StatusCode.ERROR)
                await send(message)

            return await self._application(scope, receive, answer)

    def _parent(self, scope: Mapping[str, Any]) -> Context:
        """The trace that a trusted proxy has begun. Others are not believed: they would choose what is recorded."""
        client = scope.get("client")
        if not self._proxies.trusts(parse(client[0]) if client and client[0] else None):
            return Context()
        return extract({key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}, Context())


def route_of(path: str) -> str:
    """The pattern of an address, such as /posts/<int:post_id>; empty if there is nothing at it."""
    try:
        return "/" + resolve(path).route
    except Resolver404:
        return ""
