"""Arrival: one message as it reached one subscriber."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from ..envelope import Envelope, UndecodableError

#: Names the ids of bytes that carry none.
UNDECODABLE = uuid.UUID("6f7c1d0e-52a5-5c7e-9c52-6d8f0c9e1a35")


class Arrival(NamedTuple):
    """A message: its envelope, or why it has none; its bytes; the run and attempt it belongs to; the broker's own
    mark."""

    envelope: Envelope | None
    body: bytes
    error: str = ""
    run: int = 0
    attempt: int = 1
    priority: int = 0
    redelivered: bool = False
    tag: Any = None

    @classmethod
    def read(cls, body: bytes, **attributes: Any) -> Arrival:
        """Take bytes off the wire; those that cannot be read keep their bytes and the reason."""
        try:
            return cls(envelope=Envelope.decode(body), body=body, **attributes)
        except UndecodableError as error:
            return cls(envelope=None, body=body, error=str(error), **attributes)

    @property
    def event_id(self) -> uuid.UUID:
        """The event's id; for undecodable bytes one that follows from them."""
        return self.envelope.id if self.envelope else uuid.uuid5(UNDECODABLE, self.body.hex())

    @property
    def wire(self) -> bytes:
        """The message's bytes; one that never travelled is encoded."""
        return self.body or (self.envelope.encode() if self.envelope else b"")
