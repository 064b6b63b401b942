"""Tracing: the places where spans are made, and how it is switched on. Without it nothing of OpenTelemetry is imported.

It is on in a process if a TracerProvider of OpenTelemetry's SDK is set when the process begins: by the function that
the setting EVENTS_TRACING names, or by the project itself, before `django.setup()` or before a call of `bind`.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from .spans import Spans

T = TypeVar("T")

#: Seconds that the last spans of a process get to be sent.
END_WITHIN = 3.0
_OFF: AbstractContextManager[dict[str, str]] = nullcontext({})
#: What makes the spans; None: tracing is off.
spans: Spans | None = None
_last: LastSpans | None = None


def begin(kind: str) -> None:
    """Switch tracing on in a process that begins, if it is asked for. kind: what the process does, for example worker.

    Called after a fork: the threads that send spans do not come along. Raises whatever the function raises that
    EVENTS_TRACING names.
    """
    global _last
    if spans is None and (path := getattr(settings, "EVENTS_TRACING", "")):
        import_string(path)(kind)
    bind()
    if spans is not None and _last is None:
        _last = LastSpans(spans.provider)
        atexit.register(_last.send)


def bind() -> None:
    """Make spans from now on if a TracerProvider is set; without one nothing happens."""
    global spans
    if spans is not None or (provider := provider_that_is_set()) is None:
        return
    import dramatiq

    from .spans import Spans

    broker: Any = dramatiq.get_broker()
    spans = Spans(
        provider,
        system=getattr(broker, "messaging_system", "airy"),
        destination=getattr(broker, "exchange", "airy.events"),
    )


def provider_that_is_set() -> TracerProvider | None:
    """The TracerProvider that somebody has set in this process; without one nothing is imported."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace

    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider) else provider


def end() -> None:
    """Send the spans that wait, for END_WITHIN seconds at most: a process that ends waits for no collector."""
    if _last is not None:
        _last.send()


class LastSpans:
    """Sends the spans that wait when a process ends. Its thread begins before: none can begin while Python ends."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._is_time = threading.Event()
        self._thread = threading.Thread(target=self._run, name="last spans", daemon=True)
        self._thread.start()

    def send(self) -> None:
        """Send them, and wait for END_WITHIN seconds at most."""
        self._is_time.set()
        self._thread.join(END_WITHIN)

    def _run(self) -> None:
        self._is_time.wait()
        if flush := getattr(self._provider, "force_flush", None):  # the SDK's; the API does not have it
            flush()


def send(send: Callable[..., T], rows: Sequence[Any], *, destination: str = "") -> Callable[..., T]:
    """The function that hands these rows to the broker, traced."""
    return send if spans is None or not rows else spans.sending(send, rows, destination)


def process(run: Callable[..., None]) -> Callable[..., None]:
    """The function that runs a subscriber on messages, traced."""
    return run if spans is None else spans.processing(run)


def push(messages: Sequence[tuple[str, Mapping[str, Any]]]) -> AbstractContextManager[dict[str, str]]:
    """Around the sending of hints to sockets; gives the fields that each of them gets besides its own."""
    return _OFF if spans is None else spans.pushing(messages[0][1]["type"], len(messages))


def write(message: Mapping[str, Any], *, sockets: int) -> Any:
    """A span for a hint that is written to so many sockets, which the caller ends; or None."""
    return None if spans is None else spans.writing(message, sockets)


def trace_facts() -> dict[str, str]:
    """What a line of the log tells of the span that it belongs to: trace_id and span_id, or nothing."""
    if spans is None:
        return {}
    from .spans import current_facts

    return current_facts()
