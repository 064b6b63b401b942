"""Proof: which messages without a signature are ours all the same, and which are refused.

The previous release signed nothing. What it published is found in the log by its id, its topic and its data, and its
run and attempt by the inbox. This may go with the release after the next.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from ..envelope import Envelope, source
from ..outbox.models import StoredEvent
from ..subscription import Subscription
from .message import ReceivedMessage
from .models import Delivery
from .redact import as_logged

#: The reason of a dead letter that claims to be ours.
NOT_SIGNED = (
    "not signed: it gives {ours} as its source, which signs what it publishes, and the log has no such event. Another "
    "publisher must give a source of its own"
)


def proven(subscription: Subscription, messages: Sequence[ReceivedMessage]) -> Sequence[ReceivedMessage]:
    """The messages, each with the id, run and attempt that count, and redacted events as they are in the log. One that
    claims to be ours, and is not, has no envelope any more, only the reason. Asks the database where a message is not
    signed."""
    if all(message.claim is None for message in messages):
        return as_logged(messages)
    given = {id(message): Envelope.decode(message.body) for message in messages if message.claim is not None}
    ids = {envelope.id for envelope in given.values()}
    logged = {stored.event_id: stored for stored in StoredEvent.objects.filter(event_id__in=ids)}
    deliveries = {
        (delivery.event_id, delivery.run): delivery
        for delivery in Delivery.objects.filter(event_id__in=ids, subscriber=subscription.name).defer("body")
    }
    checked = [
        message
        if (envelope := given.get(id(message))) is None
        else _proven(message, envelope, logged.get(envelope.id), deliveries)
        for message in messages
    ]
    return as_logged(checked)


def _proven(
    message: ReceivedMessage,
    given: Envelope,
    stored: StoredEvent | None,
    deliveries: dict[tuple[uuid.UUID, int], Delivery],
) -> ReceivedMessage:
    run, attempt = message.claim or (0, 1)
    delivery = deliveries.get((given.id, run))
    is_owed = delivery is not None and delivery.state == "retrying"
    is_logged = stored is not None and (stored.source, stored.topic) == (given.source, given.topic)
    if stored is not None and is_logged and (stored.redacted_at or stored.data == given.data):
        # A replay is no more than a number of the headers: whoever repeats a message could make the next one up.
        if run == 0 or is_owed:
            attempt = min(attempt, delivery.attempts + 1) if delivery is not None and is_owed else 1
            return message._replace(envelope=stored.envelope(), run=run, attempt=attempt, claim=None)
    elif given.source != source():
        # An event of another publisher that the previous release has worked on had the publisher's own id.
        is_known = stored is None and (given.id, 0) in deliveries
        envelope = given if is_known else message.envelope
        # Its number is another log's, or made up.
        return message._replace(envelope=envelope and envelope._replace(sequence=None), claim=None)
    return message._replace(envelope=None, error=NOT_SIGNED.format(ours=source()), claim=None)
