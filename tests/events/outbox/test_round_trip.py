"""Round trip: what emit accepts, every subscriber reads back equal; what cannot be is refused, with the cure."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import types
import uuid
import warnings
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Union

import pytest
from django.db import models, transaction
from django.utils.safestring import SafeString
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError, field_serializer, field_validator

from events.bus import Event, emit
from events.event import catalogue
from events.inbox.message import ReceivedMessage
from events.models import OutboxMessage, StoredEvent

pytestmark = pytest.mark.django_db

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
numbers = itertools.count()


class Colour(models.TextChoices):
    RED = "red"


class Size(models.IntegerChoices):
    SMALL = 1


class Pair(NamedTuple):
    left: int
    right: int


@contextmanager
def declared(annotation: Any, *, subject: str = "", **namespace: Any) -> Iterator[type[Event]]:
    """An event class with one field, `value`."""
    topic = f"test.round_trip_{next(numbers)}"
    body = {"__annotations__": {"value": annotation}, "__module__": __name__, **namespace}
    try:
        yield types.new_class("Sent", (Event,), {"topic": topic, "subject": subject}, lambda own: own.update(body))
    finally:
        catalogue.pop(topic, None)


def read_back(event: Event) -> Event:
    """The event as a subscriber gets it: through the log, the outbox, the wire and the class."""
    with transaction.atomic():
        emit(event)
    (row,) = OutboxMessage.objects.next_batch(10)[0]
    message = ReceivedMessage.decode(row.envelope.encode())
    assert message.envelope is not None, message.error
    OutboxMessage.objects.all().delete()
    StoredEvent.objects.all().delete()
    return message.envelope.event(attempt=1, run=0)


def same(sent: Any, read: Any) -> bool:
    """Equal, and of the same type, at every depth."""
    if isinstance(sent, tuple):
        return type(read) is tuple and len(sent) == len(read) and all(map(same, sent, read))
    return type(sent) is type(read) and bool(sent == read)


offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers() | st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**400, 10**16]),
    str: st.text() | st.sampled_from(["", "1", "true", "1.5", "2024-01-01", "2024-01-01T00:00:00Z", "a\0b", "\\u0000"])
    | st.uuids().map(str) | st.text(st.characters(exclude_categories=())),
    bool: st.booleans(),
    float: st.floats() | st.integers(-(10**18), 10**18).map(float) | st.sampled_from([1e16, 1e22, 1e308, -0.0, 5e-324]),
    types.NoneType: st.none(),
    uuid.UUID: st.uuids(),
    dt.datetime: st.datetimes(timezones=st.none() | offsets | st.timezones(), allow_imaginary=True)
    | st.sampled_from([dt.datetime.min, dt.datetime.max.replace(tzinfo=dt.UTC), dt.datetime(2024, 1, 1)])
    | st.builds(lambda minute: dt.datetime(2024, 10, 27, 2, minute, fold=1, tzinfo=BERLIN), st.integers(0, 59)),
    dt.date: st.dates(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from([Decimal("1.10"), Decimal("-0.00"), Decimal("1E+30"), Decimal(1)]),
}  # fmt: skip
literals = st.lists(
    st.sampled_from([1, 0, True, False, "1", "true", None, 2**70, "2024-01-01"]),
    min_size=1,
    unique_by=lambda v: (type(v), v),
)


class Kind(NamedTuple):
    """An annotation and its values."""

    annotation: Any
    values: st.SearchStrategy[Any]


kinds = st.recursive(
    st.sampled_from(list(PLAIN)).map(lambda kind: Kind(kind, PLAIN[kind]))
    | literals.map(lambda values: Kind(Literal[*values], st.sampled_from(values))),
    lambda inner: (
        inner.map(lambda kind: Kind(tuple[kind.annotation, ...], st.lists(kind.values, max_size=4).map(tuple)))
        | st.lists(inner, min_size=1, max_size=3).map(
            lambda kinds: Kind(tuple[*(kind.annotation for kind in kinds)], st.tuples(*(kind.values for kind in kinds)))
        )
        | st.lists(inner, min_size=2, max_size=3).map(
            lambda kinds: Kind(
                Union[*(kind.annotation for kind in kinds)],
                st.one_of(*(kind.values for kind in kinds)),
            )
        )
    ),
    max_leaves=4,
)


@pytest.mark.parametrize("examples", [150, pytest.param(5_000, marks=pytest.mark.slow)])
def test_what_emit_accepts_a_subscriber_reads_back_equal(examples: int) -> None:
    accepted: list[Event] = []
    refusals: list[str] = []

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(st.data())
    def check(data: st.DataObject) -> None:
        kind = data.draw(kinds)
        has_default = data.draw(st.booleans())
        default = {"value": data.draw(kind.values)} if has_default else {}
        with declared(kind.annotation, **default) as cls:
            values = {} if has_default else {"value": data.draw(kind.values)}
            try:
                event = cls(**values)
            except ValidationError:  # no value of this class, so no event
                return
            try:
                read = read_back(event)
            except ValueError as error:
                refusals.append(str(error))
                return
            accepted.append(event)
            assert read == event
            assert same(event.value, read.value), (event.value, read.value)  # type: ignore[attr-defined]
            assert hash(read) == hash(event)

    check()
    assert len(accepted) > examples / 2
    assert all(refusal.startswith("Sent.value: ") for refusal in refusals)


ACCEPTED: list[tuple[Any, Any]] = [
    (int, 10**4299),
    (int, -(2**63)),
    (int, Size.SMALL),
    (float, 1),
    (float, 1e308),
    (float, -0.0),
    (float, 5e-324),
    (Decimal, Decimal("1.10")),
    (Decimal, Decimal("1E+999")),
    (str, Colour.RED),
    (str, SafeString("<b>")),
    (str, "\\u0000 is written, not meant"),
    (str, "\x01\x7f\u2028😀"),
    (dt.datetime, dt.datetime.min),
    (dt.datetime, dt.datetime.max),
    (dt.datetime, dt.datetime(2024, 7, 1, 12, 0, 0, 1, tzinfo=BERLIN)),
    (dt.datetime, dt.datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=0)),
    (dt.datetime, dt.datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1)),
    (dt.date | dt.datetime, dt.datetime(2024, 1, 1)),
    (dt.date | dt.datetime, dt.date(2024, 1, 1)),
    (tuple[int, ...], ()),
    (tuple[int, ...], Pair(1, 2)),
    (int | bool, True),
    (int | float, 1),
    (int | float, 1.0),
    (int | str, "1"),
    (str | uuid.UUID, "no id"),
    (Decimal | float, 1.5),
    (Decimal | float, Decimal("1.5")),
    (Literal[1, True, "1"], True),
    (Literal[1, True, "1"], "1"),
    (tuple[tuple[int | None, ...] | None, str], ((1, None), "")),
]


def test_a_plain_value_is_accepted() -> None:
    for annotation, value in ACCEPTED:
        with declared(annotation) as cls:
            event = cls(value=value)
            read = read_back(event)
            assert read == event
            assert read.value == value or isinstance(value, dt.datetime)  # type: ignore[attr-defined]


TOO_LONG = 10**4300


REFUSED: list[tuple[Any, Any, str]] = [
    (float, math.nan, r"nan is no number in JSON\. Emit None"),
    (float | None, -math.inf, r"-inf is no number in JSON"),
    (tuple[tuple[float, ...], ...], ((1.0,), (math.nan,)), "nan is no number"),
    (int | float, math.inf, "inf is no number"),
    (int | float, 1e16, "one field to each type"),
    (Decimal | float | str, "1.10", "one field to each type"),
    (str | Decimal, Decimal("1.10"), "one field to each type"),
    (uuid.UUID | str, str(uuid.UUID(int=1)), "one field to each type"),
    (str | dt.date, dt.date(2024, 1, 1), "Give the field one type"),
    (tuple[str | dt.datetime, ...], (dt.datetime(2024, 1, 1),), "Give the field one type"),
    (int, TOO_LONG, r"more than 4,300 digits\. Emit it as a str"),
    (tuple[int, ...], (1, TOO_LONG), "more than 4,300 digits"),
    (str, "a\0b", "NUL character"),
    (tuple[str | None, ...], (None, "\0"), "NUL character"),
    (str, "\ud800", "half a surrogate pair"),
    (dt.datetime, dt.datetime(1900, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Amsterdam")), "astimezone"),
]


def test_a_value_that_cannot_be_read_back_is_refused_with_the_cure() -> None:
    for annotation, value, cure in REFUSED:
        with (
            declared(annotation) as cls,
            transaction.atomic(),
            pytest.raises(ValueError, match=rf"^Sent\.value: .*{cure}"),
        ):
            emit(cls(value=value))
    assert not StoredEvent.objects.exists()


BUILT: list[tuple[Any, Callable[[Any], Event]]] = [
    (int, lambda cls: cls.model_construct(value="1")),
    (int, lambda cls: cls.model_construct(value=1.0)),
    (int, lambda cls: cls.model_construct(value=True)),
    (float, lambda cls: cls.model_construct(value=1)),
    (tuple[int, ...], lambda cls: cls.model_construct(value=[1])),
    (Decimal, lambda cls: cls.model_construct(value=Decimal("sNaN"))),
    (Decimal, lambda cls: cls.model_construct(value="1.10")),
    (Literal["up"], lambda cls: cls.model_construct(value="down")),
    (int, lambda cls: cls.model_construct()),
    (int, lambda cls: cls(value=1).model_copy(update={"value": None})),
    (int, lambda cls: cls(value=1).model_copy(update={"other": 1})),
    (float, lambda cls: cls(value=1.0).model_copy(update={"value": math.nan})),
    (str, lambda cls: cls.model_construct(value=object())),
]


def test_an_event_that_was_built_past_its_class_is_refused() -> None:
    for annotation, built in BUILT:
        with declared(annotation) as cls, transaction.atomic(), warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ValueError, match=r"^Sent\."):
                emit(built(cls))


def test_defaults_serializers_validators_and_aliases_are_held_to_the_same() -> None:
    def shout(text: str) -> str:
        return text + "!"

    refused: dict[str, dict[str, Any]] = {
        "a default of another type": {"value": 1},
        "a default_factory of another type": {"value": Field(default_factory=list)},
        "an alias": {"value": Field("a", alias="Value")},
        "an excluded field": {"value": Field("a", exclude=True)},
        "a serializer": {"value": "a", "_shout": field_serializer("value")(lambda self, text: shout(text))},
        "a validator": {"value": Field("a", validate_default=True), "_shout": field_validator("value")(shout)},
    }
    for name, namespace in refused.items():
        with declared(str, **namespace) as cls, transaction.atomic():
            event = cls(**({"Value": "b"} if name == "an alias" else {"value": "b"} if "field" in name else {}))
            with pytest.raises(ValueError, match=r"^Sent\."):
                emit(event)
    with declared(str, value=Field(default_factory=lambda: "made")) as cls:
        assert read_back(cls()) == cls(value="made")


def test_a_subject_that_cannot_be_stored_is_refused() -> None:
    for subject, value, problem in (
        ("{value}", "x" * 201, "its subject has 201 characters"),
        ("\0{value}", "a", "cannot be stored"),
        ("{value:d}", "a", r"subject '\{value:d\}' cannot be built"),
        ("{value:{value}}", "a", "cannot be built"),
        ("{value.nothing}", "a", "names 'value.nothing'"),
    ):
        with (
            pytest.raises((ValueError, TypeError), match=problem),
            declared(str, subject=subject) as cls,
            transaction.atomic(),
        ):
            emit(cls(value=value))
    with declared(str, subject="{value}") as cls, transaction.atomic():
        emit(cls(value="x" * 200))


def test_numbers_that_postgresql_writes_out_count_in_full() -> None:
    with declared(tuple[float, ...]) as cls, transaction.atomic():
        with pytest.raises(ValueError, match="Keep large data in a table"):
            emit(cls(value=(1e308,) * 20_000))
        emit(cls(value=(1e308,) * 5_000))


def test_declarations_that_no_value_could_keep_are_refused() -> None:
    deep: Any = int
    for _ in range(101):
        deep = tuple[deep]
    for annotation, namespace, problem in (
        (deep, {}, "nested deeper than 100"),
        (Literal[b"x"], {}, "bytes"),
        (int, {"model_config": {"extra": "allow"}}, "declare each field"),
    ):
        with pytest.raises(TypeError, match=problem), declared(annotation, **namespace):
            pass
    for version in (0, -1, 2**15, True, "1"):
        with pytest.raises(TypeError, match="whole number from 1 to 32,767"):
            types.new_class("Sent", (Event,), {"topic": "test.versioned", "version": version})
    deep = int
    for _ in range(99):
        deep = tuple[deep]
    with declared(deep) as cls:
        value: Any = 1
        for _ in range(99):
            value = (value,)
        assert read_back(cls(value=value)) == cls(value=value)


def test_a_value_that_django_has_not_converted_is_refused_with_the_trick() -> None:
    for annotation, value, conversion in (
        (Decimal, 0, r"write Decimal\(str\(value\)\)"),
        (int, "2", r"write int\(value\)"),
        (dt.date, "2024-01-01", r"write date\.fromisoformat"),
        (uuid.UUID | None, "7", r"write UUID"),
    ):
        problem = rf"for Sent\nvalue(.|\n)*{conversion}.*refresh_from_db"
        with declared(annotation) as cls, pytest.raises(ValidationError, match=problem):
            cls(value=value)
