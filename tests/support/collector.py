"""Collector: a server that takes spans as OpenTelemetry's exporters send them (OTLP over HTTP), and keeps them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Recorded:
    """A span as the collector got it. trace, id, parent: in hexadecimal; parent is empty for the first of a trace.
    links: the ids of spans. failed: its status is an error. process: what its process does."""

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    attributes: dict[str, Any]
    failed: bool
    process: str
    service: str


class Collector:
    """What was received; `bodies` as bytes."""

    def __init__(self) -> None:
        self.spans: list[Recorded] = []
        self.bodies: list[bytes] = []

    def named(self, name: str) -> list[Recorded]:
        """The spans of this name, in the order in which they came."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Recorded:
        """The only span of this name."""
        (span,) = self.named(name)
        return span

    def way_to(self, span: Recorded) -> list[str]:
        """The names of the spans from the first of its trace to this one."""
        by_id = {one.id: one for one in self.spans if one.trace == span.trace}
        way = [span]
        while way[0].parent in by_id:
            way.insert(0, by_id[way[0].parent])
        assert not way[0].parent, f"{way[0].parent} was not received"
        return [one.name for one in way]

    def take(self, body: bytes) -> None:
        """Keep the spans of one request."""
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = _values(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans += [_recorded(span, about) for span in scope.spans]


def _recorded(span: Any, about: dict[str, Any]) -> Recorded:
    return Recorded(
        name=span.name,
        kind=span.kind,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=tuple(link.span_id.hex() for link in span.links),
        attributes=_values(span.attributes),
        failed=span.status.code == 2,
        process=about.get("airy.process", ""),
        service=about["service.name"],
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def collecting() -> Iterator[tuple[str, Collector]]:
    """A collector on a port of its own, and its URL, for OTEL_EXPORTER_OTLP_ENDPOINT."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Not into the output of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="collector")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
