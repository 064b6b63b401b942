"""Envelope: the wire format of an event, CloudEvents 1.0 as structured JSON, encoded and decoded."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import uuid
from typing import Annotated, Any, NamedTuple

from django.conf import settings
from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import to_json
from typing_extensions import TypedDict

from .event import VERSIONS, Event, Meta, catalogue, event_class

CONTENT_TYPE = "application/cloudevents+json"


class Wire(TypedDict, total=False):
    """The fields that are read off the wire. The lengths are those of the log's columns. Other fields are ignored."""

    id: uuid.UUID | Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
    source: Annotated[str, StringConstraints(max_length=200)]
    type: Annotated[str, StringConstraints(max_length=100)]
    subject: Annotated[str, StringConstraints(max_length=200)] | None
    time: str | None
    dataschema: str | None
    correlationid: uuid.UUID | None
    causationid: uuid.UUID | None
    traceparent: Annotated[str, StringConstraints(max_length=55)] | None
    sequence: int
    data: dict[str, Any]


WIRE = TypeAdapter(Wire)
#: The namespace of the ids of other publishers' events.
FOREIGN = uuid.UUID("c0a5f2a4-6f0e-5b7d-9a52-7f3f1e0b8d61")
#: A second that is inserted now and then at the end of a day.
LEAP_SECOND = re.compile(r"(?<=[T ]\d\d:\d\d:)60")


class UndecodableError(ValueError):
    """Bytes that are no CloudEvent, or data that do not fit the class of the topic."""


class UnknownTopicError(UndecodableError):
    """No event class is declared here for the topic."""


class NewerVersionError(Exception):
    """An event of a version that is newer than every class of its topic here."""


class Envelope(NamedTuple):
    """An event with its attributes; `data` is a JSON object."""

    id: uuid.UUID
    topic: str
    version: int
    source: str
    subject: str
    time: dt.datetime
    data: dict[str, Any]
    correlation_id: uuid.UUID
    causation_id: uuid.UUID | None = None
    traceparent: str = ""
    sequence: int | None = None

    def encode(self) -> bytes:
        """The wire format. `sequence` is padded with zeros, so that it sorts as text, too."""
        event_id = str(self.id)
        # Most events have no cause, and are their own correlation.
        wire: dict[str, Any] = {
            "specversion": "1.0",
            "id": event_id,
            "source": self.source,
            "type": self.topic,
            "subject": self.subject,
            "time": self.time.isoformat(),
            "datacontenttype": "application/json",
            "dataschema": f"{self.source}/schemas/{self.topic}/{self.version}",
            "correlationid": event_id if self.correlation_id == self.id else str(self.correlation_id),
        }
        if self.causation_id:
            wire["causationid"] = str(self.causation_id)
        if self.traceparent:
            wire["traceparent"] = self.traceparent
        if self.sequence is not None:
            wire["sequence"] = f"{self.sequence:020}"
        wire["data"] = self.data
        return to_json(wire, inf_nan_mode="constants")

    @classmethod
    def decode(cls, body: bytes, *, ours: str | None = None) -> Envelope:
        """Read the wire format. A foreign publisher must give id, source, type and data; all else is optional.

        ours: if it is given, the event of any other source gets an id out of a space of its own (`foreign_id`), so that
        it can never be taken for one of ours. An id that is no UUID always does.

        Raises UndecodableError.
        """
        try:
            wire = WIRE.validate_json(body)
            if b"\\u0000" in body and _has_nul(wire):
                raise ValueError("it contains a NUL character, which PostgreSQL cannot store")
            if not _is_finite(wire["data"]):
                raise ValueError("it contains NaN or Infinity, which JSON does not allow")
            given = wire["id"]
            if isinstance(given, str) or ours not in (None, wire["source"]):
                given = foreign_id(wire["source"], str(given))
            event_id = given
            return cls(
                id=event_id,
                topic=wire["type"],
                version=_version(wire.get("dataschema") or ""),
                source=wire["source"],
                subject=wire.get("subject") or "",
                time=_time(wire.get("time")),
                data=wire["data"],
                correlation_id=wire.get("correlationid") or event_id,
                causation_id=wire.get("causationid"),
                traceparent=wire.get("traceparent") or "",
                sequence=wire.get("sequence"),
            )
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise UndecodableError(f"not a CloudEvent: {wrong}") from error
        except (ValueError, KeyError, OverflowError) as error:
            raise UndecodableError(f"not a CloudEvent: {type(error).__name__}: {error}") from error

    def json(self) -> str:
        """The payload as JSON text."""
        return json.dumps(self.data, ensure_ascii=False)

    def event(self, *, attempt: int, run: int) -> Event:
        """The typed event. Unknown fields are ignored: a writer may have added them without a new version.

        Raises UndecodableError when the topic has no class or the data do not fit it, and NewerVersionError.
        """
        cls = event_class(self.topic, version=self.version)
        if cls is None:
            raise UnknownTopicError(
                f"no event class is declared for topic {self.topic!r}: declare one, or narrow the subscriber's pattern"
            )
        if self.version > max(catalogue[self.topic]):
            raise NewerVersionError(
                f"{self.topic} has version {self.version}; the newest that this code knows is "
                f"{max(catalogue[self.topic])}: deploy the code that declares it"
            )
        try:
            event = cls.model_validate_json(to_json(self.data), extra="ignore")
        except ValidationError as error:
            raise UndecodableError(f"{self.topic} does not fit {cls.__name__}: {error}") from error
        return event.with_meta(
            Meta(
                id=self.id,
                topic=self.topic,
                subject=self.subject,
                time=self.time,
                sequence=self.sequence,
                correlation_id=self.correlation_id,
                causation_id=self.causation_id,
                attempt=attempt,
                run=run,
            )
        )


def source() -> str:
    """The CloudEvents source of our events. It is a setting, so that several projects can share one exchange."""
    return getattr(settings, "EVENTS_SOURCE", "/airy")


def foreign_id(source: str, given: str) -> uuid.UUID:
    """The id that an event of another publisher has here: uuid5 of its source and its id, as a JSON array."""
    normal = _as_uuid(given)
    return uuid.uuid5(FOREIGN, to_json([source, str(normal) if normal else given]).decode())


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _has_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_nul(part) for pair in value.items() for part in pair)
    return any(map(_has_nul, value)) if isinstance(value, list) else isinstance(value, str) and "\0" in value


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return all(map(_is_finite, value)) if isinstance(value, list) else True


def _version(schema: str) -> int:
    written = schema.rsplit("/", 1)[-1]
    version = int(written) if written.isdecimal() else 1
    if version not in VERSIONS:
        raise ValueError(f"version {version} is out of range: it must be from {VERSIONS[0]} to {VERSIONS[-1]}")
    return version


def _time(value: str | None) -> dt.datetime:
    if value is None:
        return dt.datetime.now(dt.UTC)
    value = value.upper()
    written = LEAP_SECOND.sub("59", value)
    time = dt.datetime.fromisoformat(written)
    if written != value:
        time += dt.timedelta(seconds=1)
    if time.tzinfo is dt.UTC:
        return time
    # Some times of the years 1 and 9999 do not exist in UTC: astimezone raises for them.
    return (time if time.tzinfo else time.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
