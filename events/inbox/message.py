"""Message: an event as one subscriber received it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.conf import settings
from pydantic_core import to_json

from ..envelope import Envelope, UndecodableError, source
from ..log_context import MOST_IDS
from ..signature import HEADER
from ..signature import is_valid as signed_by_us

#: The namespace of the ids that refused bytes get.
UNDECODABLE = uuid.UUID("6f7c1d0e-52a5-5c7e-9c52-6d8f0c9e1a35")
#: Bytes of a message of another publisher, at most, unless the setting EVENTS_MAX_FOREIGN_BYTES says otherwise.
MAX_FOREIGN_BYTES = 1_000_000
#: Bytes that are kept of a refused message that is larger than that.
KEPT_BYTES = 65_536
#: The reason of a dead letter whose signature is wrong.
WRONG_SIGNATURE = (
    "not signed: its signature does not fit. Its bytes, queue, run, attempt or priority were changed, or its key is not"
    " known here: every process needs the same EVENTS_SIGNING_KEYS (by default SECRET_KEY and SECRET_KEY_FALLBACKS)"
)


class Claim(NamedTuple):
    """What a message without a signature says of itself."""

    run: int
    attempt: int


class ReceivedMessage(NamedTuple):
    """A message for one subscriber.

    envelope: the decoded event, or None; then `error` says why. body: the bytes, empty for a message that never left
    this process. run, attempt: which replay and which attempt this is. redelivered: the broker delivered it before,
    without an outcome. tag: how the broker identifies it. claim: only for a message without a signature, until `proven`
    has looked it up. given_id: the id of refused bytes that were cut.
    """

    envelope: Envelope | None
    body: bytes
    error: str = ""
    run: int = 0
    attempt: int = 1
    priority: int = 0
    redelivered: bool = False
    tag: Any = None
    claim: Claim | None = None
    given_id: uuid.UUID | None = None

    @classmethod
    def decode(
        cls,
        body: bytes,
        *,
        headers: Mapping[str, Any] | None = None,
        routing_key: str = "",
        queue: str = "",
        priority: int = 0,
        redelivered: bool = False,
        tag: Any = None,
    ) -> ReceivedMessage:
        """From bytes and the headers that they came with. Bytes that are refused are kept, with the reason.

        routing_key: what the message was published with: a topic, or a queue's name. queue: the subscriber's own.

        Run and attempt count if the signature holds. Without one, the event is another publisher's: run 0, attempt 1,
        and an id of its own. It is refused if it is larger than EVENTS_MAX_FOREIGN_BYTES.
        """
        headers = headers or {}
        run, attempt = _number(headers, "run", 0), _number(headers, "attempt", 1)
        signature = headers.get(HEADER)
        if signature is not None:
            is_valid = signed_by_us(signature, body, route=routing_key, run=run, attempt=attempt, priority=priority)
            if not is_valid:
                return cls._refused(body, WRONG_SIGNATURE, priority, redelivered, tag)
        elif len(body) > _limit() and b'"source":' + to_json(source()) not in body[:1000]:
            # What is ours says so at its beginning. What does not is not read at all.
            return cls._refused(body, _too_large(body), priority, redelivered, tag)
        ours = None if signature is not None else source()
        try:
            envelope = Envelope.decode(body, ours=ours)
        except UndecodableError as error:
            return cls._refused(body, str(error), priority, redelivered, tag)
        if ours is not None:
            if envelope.source != ours and len(body) > _limit():
                return cls._refused(body, _too_large(body), priority, redelivered, tag)
            return cls(envelope, body, "", 0, 1, priority, redelivered, tag, Claim(run, attempt))
        if routing_key not in (queue, envelope.topic):
            return cls._refused(body, WRONG_SIGNATURE, priority, redelivered, tag)
        return cls(envelope, body, "", run, attempt, priority, redelivered, tag)

    @classmethod
    def _refused(cls, body: bytes, error: str, priority: int, redelivered: bool, tag: Any) -> ReceivedMessage:
        refused = cls(None, body, error, priority=priority, redelivered=redelivered, tag=tag)
        if len(body) <= _limit():
            return refused
        error = f"{error} (the first {KEPT_BYTES:,} of {len(body):,} bytes are kept)"
        given_id = uuid.uuid5(UNDECODABLE, hashlib.sha256(body).hexdigest())
        return refused._replace(body=body[:KEPT_BYTES], error=error, given_id=given_id)

    @property
    def event_id(self) -> uuid.UUID:
        """The event's id; for refused bytes an id that is computed from them: they never take the place of an event."""
        if self.envelope is not None:
            return self.envelope.id
        return self.given_id or uuid.uuid5(UNDECODABLE, self.body.hex())

    @property
    def facts(self) -> dict[str, Any]:
        """What a line of the log tells of it."""
        facts: dict[str, Any] = {"event_id": str(self.event_id), "run": self.run}
        if self.envelope is None:
            return facts
        return facts | {"topic": self.envelope.topic, "correlation_id": str(self.envelope.correlation_id)}

    @property
    def encoded(self) -> bytes:
        """The message's bytes."""
        return self.body or (self.envelope.encode() if self.envelope else b"")


def facts_of(messages: Sequence[ReceivedMessage]) -> dict[str, Any]:
    """What a line of the log tells of messages that ran together: of one its facts, of several the first MOST_IDS ids,
    and how many there are."""
    if len(messages) == 1:
        return messages[0].facts
    return {"events": [str(message.event_id) for message in messages[:MOST_IDS]], "count": len(messages)}


def _limit() -> int:
    return int(getattr(settings, "EVENTS_MAX_FOREIGN_BYTES", MAX_FOREIGN_BYTES))


def _too_large(body: bytes) -> str:
    return (
        f"too large: {len(body):,} bytes of another publisher; the limit is {_limit():,} (EVENTS_MAX_FOREIGN_BYTES)."
        " Keep large data elsewhere, and publish its key"
    )


def _number(headers: Mapping[str, Any], name: str, default: int) -> int:
    """A number of the headers. A value out of range is ignored."""
    value = headers.get(name)
    return value if type(value) is int and default <= value < 2**15 else default
