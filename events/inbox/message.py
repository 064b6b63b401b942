"""Message: an event as one subscriber received it."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from ..envelope import Envelope, UndecodableError

#: The namespace of the ids that undecodable bytes get.
UNDECODABLE = uuid.UUID("6f7c1d0e-52a5-5c7e-9c52-6d8f0c9e1a35")


class ReceivedMessage(NamedTuple):
    """A message for one subscriber.

    envelope: the decoded event, or None; then `error` says why. body: the bytes, empty for a message that never left
    this process. run, attempt: which replay and which attempt this is. redelivered: the broker delivered it before,
    without an outcome. tag: how the broker identifies it.
    """

    envelope: Envelope | None
    body: bytes
    error: str = ""
    run: int = 0
    attempt: int = 1
    priority: int = 0
    redelivered: bool = False
    tag: Any = None

    @classmethod
    def decode(cls, body: bytes, **attributes: Any) -> ReceivedMessage:
        """From bytes. Undecodable bytes are kept, with the reason."""
        try:
            return cls(envelope=Envelope.decode(body), body=body, **attributes)
        except UndecodableError as error:
            return cls(envelope=None, body=body, error=str(error), **attributes)

    @property
    def event_id(self) -> uuid.UUID:
        """The event's id; for undecodable bytes an id that is computed from them."""
        return self.envelope.id if self.envelope else uuid.uuid5(UNDECODABLE, self.body.hex())

    @property
    def encoded(self) -> bytes:
        """The message's bytes."""
        return self.body or (self.envelope.encode() if self.envelope else b"")
