"""Wire: a line of the log as the envelope it travels in."""

from events.envelope import Envelope
from events.models import StoredEvent


def envelope_of(event: StoredEvent) -> Envelope:
    """The envelope of a stored event."""
    return Envelope(
        id=event.event_id,
        topic=event.topic,
        version=event.version,
        source=event.source,
        subject=event.subject,
        time=event.time,
        data=event.data,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        traceparent=event.traceparent,
        sequence=event.sequence,
    )
