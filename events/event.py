"""Event: a frozen fact in the past tense, with its topic, version and subject."""

from __future__ import annotations

import datetime as dt
import re
import string
import typing
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema

from .plain import require_plain, with_cure, with_fixed_offsets

RESERVED_NAMES = ("topic", "version", "meta", "subject", "subject_text", "redactions", "concerns")

#: The versions of a schema that the log can store.
VERSIONS = range(1, 2**15)

TOPIC = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")

#: Every declared event class by topic and version.
catalogue: dict[str, dict[int, type[Event]]] = {}


class Meta(NamedTuple):
    """What the log has about an event: its identity, its time, its cause, and which attempt this is (from 1)."""

    id: uuid.UUID
    topic: str
    subject: str
    time: dt.datetime
    sequence: int | None
    correlation_id: uuid.UUID
    causation_id: uuid.UUID | None
    attempt: int = 1
    run: int = 0


class Event(BaseModel):
    """A fact that subscribers react to. Declare one by subclassing with its topic:

        class PostPublished(Event, topic="post.published", version=1, subject="post/{post_id}"):
            post_id: int

    Fields are keyword-only, strictly typed and plain (numbers, strings, dates, UUIDs, literals, tuples of these), so
    every version of the code and every language reads them alike. A time keeps its offset from UTC, not the name of its
    zone. `subject` is a format string over the fields. A class without a topic is a common ancestor and cannot be
    emitted.

    `redactions` names the fields that hold what a person wrote or is called, each with the value that takes its place
    in the log when it is erased (`redact`): redactions={"title": ""}.

    `concerns` names the fields that hold ids of other things, by the kind of thing: concerns={"user": ("author_id",)}.
    An error of such an event may quote what is said of "user/5", so it is erased with that. A field that is None
    concerns nothing, a tuple each of its values.

    Raises TypeError at declaration when the topic is taken, a field is not plain, or a redaction or a concern does not
    fit.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    topic: ClassVar[str] = ""
    version: ClassVar[int] = 1
    subject_format: ClassVar[str] = ""
    redactions: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    concerns: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    # Pydantic's own private attributes would take longer, for every event, than its validation.
    __slots__ = ("_received",)
    if typing.TYPE_CHECKING:
        _received: Meta

    def __init_subclass__(
        cls,
        *,
        topic: str = "",
        version: int = 1,
        subject: str = "",
        redactions: Mapping[str, Any] | None = None,
        concerns: Mapping[str, tuple[str, ...]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)

    if not typing.TYPE_CHECKING:

        def __init__(self, /, **data: Any) -> None:
            try:
                self.__pydantic_validator__.validate_python(data, self_instance=self)
            except ValidationError as error:
                raise with_cure(error) from None

        # Pydantic must not call it where it reads JSON.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return typing.cast(CoreSchema, with_fixed_offsets(handler(source)))

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        topic: str = "",
        version: int = 1,
        subject: str = "",
        redactions: Mapping[str, Any] | None = None,
        concerns: Mapping[str, tuple[str, ...]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.topic, cls.version = topic, version
        cls.subject_format = subject or cls.subject_format
        if type(version) is not int or version not in VERSIONS:
            raise TypeError(
                f"{cls.__name__}: version={version!r}: it must be a whole number from {VERSIONS[0]} to {VERSIONS[-1]:,}"
            )
        if cls.model_config.get("extra") == "allow":
            raise TypeError(f"{cls.__name__}: extra='allow': a subscriber does not see such values; declare each field")
        for name in cls.model_fields:
            if name in RESERVED_NAMES:
                raise TypeError(f"{cls.__name__}.{name}: this name is reserved for the event itself; rename the field")
            require_plain(cls, name, cls.model_fields[name].annotation)
        for _, named, _, _ in string.Formatter().parse(cls.subject_format):
            if named is not None and named not in cls.model_fields:
                raise TypeError(
                    f"{cls.__name__}: subject={cls.subject_format!r} names {named!r}, which is not a field of the event"
                )
        if redactions:
            cls.redactions = MappingProxyType(dict(redactions))
            _check_redactions(cls)
        if concerns:
            cls.concerns = MappingProxyType(dict(concerns))
            _check_concerns(cls)
        if topic and (len(topic) > 100 or not TOPIC.fullmatch(topic)):
            raise TypeError(
                f"{cls.__name__}: topic={topic!r}: use words of a-z, 0-9, _ separated by dots, 100 characters at most"
            )
        if topic:
            _enter_in_catalogue(cls)

    @property
    def meta(self) -> Meta:
        """What the log has about the event. Raises LookupError on an event that was built and not received."""
        try:
            return self._received
        except AttributeError:
            raise LookupError(f"{type(self).__name__} has no meta: only a delivered event has one") from None

    @property
    def subject_text(self) -> str:
        """The subject: what the event is about, for example "post/7"."""
        return self.subject_format.format_map(self.__dict__)

    def with_meta(self, meta: Meta) -> Self:
        """This event, marked as received."""
        object.__setattr__(self, "_received", meta)
        return self

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))


def event_class(topic: str, *, version: int) -> type[Event] | None:
    """The class that reads a topic: of this version, or else of the newest declared version. None for an undeclared
    topic."""
    versions = catalogue.get(topic)
    return None if not versions else versions.get(version) or versions[max(versions)]


def may_be_redacted(topic: str) -> bool:
    """Whether some version of this topic declares redactions."""
    return any(version.redactions for version in catalogue.get(topic, {}).values())


def concerned(topic: str, *, version: int, data: Mapping[str, Any]) -> set[str]:
    """The other things that an event with this data concerns ("post/7")."""
    cls = event_class(topic, version=version)
    found: set[str] = set()
    for kind, names in (cls.concerns if cls else {}).items():
        for name in names:
            value = data.get(name)
            values = value if isinstance(value, list | tuple) else (value,)
            found.update(f"{kind}/{one}" for one in values if type(one) in (int, str))
    return found


def _check_concerns(cls: type[Event]) -> None:
    for kind, names in cls.concerns.items():
        if not isinstance(names, tuple):
            raise TypeError(f"{cls.__name__}: concerns={{{kind!r}: {names!r}}}: give a tuple of fields")
        for name in names:
            if name not in cls.model_fields:
                raise TypeError(f"{cls.__name__}: concerns names {name!r}, which is not a field of the event")


def _check_redactions(cls: type[Event]) -> None:
    for name, value in cls.redactions.items():
        if name not in cls.model_fields:
            raise TypeError(f"{cls.__name__}: redactions names {name!r}, which is not a field of the event")
        field = cls.model_fields[name]
        try:
            form: Any = Annotated[field.annotation, field]
            TypeAdapter[Any](form, config=ConfigDict(strict=True)).validate_python(value)
        except ValidationError as error:
            raise TypeError(
                f"{cls.__name__}: redactions={{{name!r}: {value!r}}}: the field does not accept this value, so nobody"
                f" could read the event any more: {error.errors()[0]['msg']}"
            ) from None


def _enter_in_catalogue(cls: type[Event]) -> None:
    versions = catalogue.setdefault(cls.topic, {})
    known = versions.get(cls.version)
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise TypeError(
            f"{cls.__name__}: topic {cls.topic!r} version {cls.version} is declared by "
            f"{known.__module__}.{known.__name__}; use another topic or the next version"
        )
    versions[cls.version] = cls
