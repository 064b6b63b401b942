"""Traced: tracing that is on in this process, with a collector of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from events import tracing
from events.spans import Spans
from tests.support.collector import Collector, collecting


@contextmanager
def traced() -> Iterator[Collector]:
    """Each span is with the collector as soon as it ends."""
    with collecting() as (url, collector), pytest.MonkeyPatch.context() as patch:
        provider = TracerProvider(resource=Resource({"service.name": "test"}))
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{url}/v1/traces")))
        patch.setattr(tracing, "spans", Spans(provider, system="airy", destination="airy.events"))
        yield collector
        provider.shutdown()
