"""Spans: the way of an event, as OpenTelemetry records it. Only `tracing.py` imports this, once it is switched on.

OpenTelemetry's conventions for messaging are still in development, so their names stand in this file alone. Recorded
are ids, topics, and names of subscribers and error types; nothing of what an event or an error says.

| span                  | made by                      | parent                           | links to             |
|-----------------------|------------------------------|----------------------------------|----------------------|
| create <topic>        | emit                         | what emits it                    |                      |
| send <destination>    | the relay, one for a parcel  | create, of a single fresh event  | create of each event |
| process <subscriber>  | one run, with its COMMIT     | create, of a single fresh event  | create of each event |
| push <type>           | hints, one for a batch       | what pushes them                 |                      |
| write <type>          | the process of the sockets   | push                             |                      |

What is not fresh, as an event that is replayed, requeued or healed, begins a trace of its own, with the link: a trace
whose first part is from last week is cut off by most tools. So does a group, which has many origins.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TracerProvider,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.util.types import AttributeValue

from .pace import PutOffError

if TYPE_CHECKING:
    from .inbox.message import ReceivedMessage
    from .outbox.log import LogLine
    from .outbox.messages import OutboxRow
    from .subscription import Subscription

T = TypeVar("T")

#: Links of one span, at most; the events beyond have none. It is the limit of OpenTelemetry's SDK, too.
MOST_LINKS = 128
#: How old an event may be that continues its trace: in its first attempt, and in a retry.
FRESH, FRESH_IN_RETRY = dt.timedelta(minutes=1), dt.timedelta(hours=1)
#: W3C Trace Context, version 00: the trace, the span, the flags.
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class Spans:
    """Makes the spans of this process. provider: with the SDK of OpenTelemetry behind it. system, destination: the name
    of the broker's product, and where the relay sends to."""

    def __init__(self, provider: TracerProvider, *, system: str, destination: str) -> None:
        self.provider = provider
        self.tracer = provider.get_tracer("airy.events")
        self._system, self._destination = system, destination

    def create(self, lines: list[LogLine]) -> list[LogLine]:
        """Record that events are created; returns their lines with the traceparent.

        Of more than MOST_LINKS events that are emitted at once, all have the same span.
        """
        if len(lines) > MOST_LINKS:
            traceparent = self._created(lines[0].topic, {"messaging.batch.message_count": len(lines)})
            return [line._replace(traceparent=traceparent) for line in lines]
        return [
            line._replace(
                traceparent=self._created(
                    line.topic,
                    {
                        "messaging.message.id": str(line.event_id),
                        "messaging.message.conversation_id": str(line.correlation_id),
                    },
                )
            )
            for line in lines
        ]

    def _created(self, topic: str, attributes: dict[str, AttributeValue]) -> str:
        attributes |= self._operation("create", "create", topic)
        span = self.tracer.start_span(f"create {topic}", kind=SpanKind.PRODUCER, attributes=attributes)
        span.end()
        return as_traceparent(span.get_span_context())

    def sending(
        self, send: Callable[..., T], rows: Sequence[OutboxRow | ReceivedMessage], destination: str = ""
    ) -> Callable[..., T]:
        """`send`, which hands these rows to the broker, as a span. destination: if it is not the broker's own."""

        def traced(*args: Any, **options: Any) -> T:
            to = destination or self._destination
            attributes = self._operation("send", "send", to) | _identity(rows)
            with self._recorded(f"send {to}", SpanKind.PRODUCER, rows, attributes):
                return send(*args, **options)

        return traced

    def processing(self, run: Callable[..., None]) -> Callable[..., None]:
        """`run`, which runs a subscriber on messages and commits that, as a span."""

        def traced(
            subscription: Subscription,
            messages: Sequence[ReceivedMessage],
            *,
            attempt: int | None = None,
            **options: Any,
        ) -> None:
            number = attempt or messages[0].attempt
            attributes = self._operation("process", "process", _topic(messages) or subscription.queue)
            attributes |= _identity(messages)
            attributes |= {"messaging.consumer.group.name": subscription.name, "airy.attempt": number}
            if messages[0].run:
                attributes["airy.run"] = messages[0].run
            with self._recorded(f"process {subscription.name}", SpanKind.CONSUMER, messages, attributes, number):
                run(subscription, messages, attempt=attempt, **options)

        return traced

    @contextmanager
    def pushing(self, type: str, hints: int) -> Iterator[dict[str, str]]:
        """Record the sending of hints to sockets; gives the field that continues the trace in each. Nothing is recorded
        outside of a trace."""
        if not get_current_span().get_span_context().is_valid:
            yield {}
            return
        attributes = self._operation("push", "send", type) | {"messaging.batch.message_count": hints}
        span = self.tracer.start_span(f"push {type}", kind=SpanKind.PRODUCER, attributes=attributes)
        with _ended(span):
            yield {"traceparent": as_traceparent(span.get_span_context())}

    def writing(self, message: Mapping[str, Any], sockets: int) -> Span | None:
        """A span for a hint that is written to sockets, to be ended by the caller; None for one without a trace."""
        origin = from_traceparent(message.get("traceparent", ""))
        if origin is None or not sockets:
            return None
        attributes = self._operation("write", "process", message["type"]) | {"airy.sockets": sockets}
        return self.tracer.start_span(
            f"write {message['type']}", _under(origin), kind=SpanKind.CONSUMER, attributes=attributes
        )

    def _operation(self, name: str, type: str, destination: str) -> dict[str, AttributeValue]:
        return {
            "messaging.system": self._system,
            "messaging.operation.name": name,
            "messaging.operation.type": type,
            "messaging.destination.name": destination,
        }

    @contextmanager
    def _recorded(
        self,
        name: str,
        kind: SpanKind,
        messages: Sequence[OutboxRow | ReceivedMessage],
        attributes: Mapping[str, AttributeValue],
        attempt: int | None = None,
    ) -> Iterator[None]:
        """A span, current while inside, that continues the trace of its only message, or links to those of each."""
        texts = dict.fromkeys(message.envelope.traceparent for message in messages if message.envelope)
        origins = [origin for origin in map(from_traceparent, islice(texts, MOST_LINKS)) if origin]
        one = messages[0]
        continues = len(messages) == 1 and origins and is_fresh(one, attempt=attempt or one.attempt)
        span = self.tracer.start_span(
            name,
            _under(origins[0]) if continues else Context(),
            kind=kind,
            attributes=attributes,
            links=list(map(Link, origins)),
        )
        with _ended(span), use_span(span, record_exception=False, set_status_on_exception=False):
            yield


@contextmanager
def _ended(span: Span) -> Iterator[None]:
    """End the span. Of an error its type alone is recorded: its text may quote what people wrote."""
    try:
        yield
    except BaseException as error:
        span.set_attribute("error.type", type(error).__qualname__)
        if isinstance(error, Exception) and not isinstance(error, PutOffError):
            span.set_status(StatusCode.ERROR)
        raise
    finally:
        span.end()


def is_fresh(message: OutboxRow | ReceivedMessage, *, attempt: int) -> bool:
    """Whether a message continues the trace of its event."""
    if message.run or message.envelope is None:
        return False
    age = dt.datetime.now(dt.UTC) - message.envelope.time
    return age <= (FRESH_IN_RETRY if attempt > 1 else FRESH)


def current_facts() -> dict[str, str]:
    """Which span the caller is in: trace_id and span_id, as hexadecimal digits; nothing outside of a span."""
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": format(context.trace_id, "032x"), "span_id": format(context.span_id, "016x")}


def as_traceparent(context: SpanContext) -> str:
    """A span as W3C Trace Context writes it."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def from_traceparent(text: str) -> SpanContext | None:
    """The span that a traceparent names; None if it names none."""
    if not (found := TRACEPARENT.fullmatch(text)):
        return None
    trace, span, flags = (int(part, 16) for part in found.groups())
    context = SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(flags))
    return context if context.is_valid else None


def _under(origin: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(origin), Context())


def _topic(messages: Sequence[OutboxRow | ReceivedMessage]) -> str:
    """The topic of all these messages; empty if there are several, or none is known."""
    topics = {message.envelope.topic if message.envelope else "" for message in messages}
    return topics.pop() if len(topics) == 1 else ""


def _identity(messages: Sequence[OutboxRow | ReceivedMessage]) -> dict[str, AttributeValue]:
    """The id of a single message, or the number of several."""
    if len(messages) == 1:
        return {"messaging.message.id": str(messages[0].event_id)}
    return {"messaging.batch.message_count": len(messages)}
