"""Round trip: what `emit` accepts, every subscriber reads back equal, on both databases.

JSON and PostgreSQL's jsonb cannot hold every value of Python, and a field of several types may be read as another of
them. The check is made with the value itself, before it is written: it costs about as much as building the event.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import reprlib
import types
import typing
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from ..event import Event

#: Characters of an event as JSON, at most: each has up to four bytes, and RabbitMQ 4 refuses messages over 16 MiB,
#: every time.
MAX_CHARACTERS = 4_000_000
#: Characters of a subject, at most: the width of its column.
MAX_SUBJECT = 200
#: The greatest number of characters that PostgreSQL makes of one character of a number such as 1e308.
_GROWTH = 65

_MISSING = object()


def as_json(event: Event) -> str:
    """The event's data as JSON text, from which a subscriber reads an equal event: each value equal, and of the same
    type (a subclass of str or int becomes a plain one).

    Raises ValueError, which names the field and what to write instead.
    """
    cls = type(event)
    try:
        data = event.model_dump_json(warnings=False)
    except PydanticSerializationError as error:
        raise _refusal(event, *_first(event, _is_not_serializable), error) from error
    if len(data) > MAX_CHARACTERS:
        raise _too_large(event, len(data))
    if "\\u0000" in data and (found := _first(event, _has_nul))[0]:
        raise _refusal(event, *found)
    _require_equal(event, data)
    if _has_float(cls) and "e" in data.lower():
        if len(data) > MAX_CHARACTERS // _GROWTH and (length := len(_as_jsonb(data))) > MAX_CHARACTERS:
            raise _too_large(event, length)
        if _has_ambiguous_float(cls):
            _require_equal(event, _as_jsonb(data))
    return data


def subject_of(event: Event) -> str:
    """The event's subject. Raises ValueError if it cannot be built or stored."""
    try:
        subject = event.subject_text
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValueError(
            f"{_name(event)}: its subject {event.subject_format!r} cannot be built from its fields: {error}"
        ) from error
    if len(subject) > MAX_SUBJECT:
        raise ValueError(
            f"{_name(event)}: its subject has {len(subject)} characters, {reprlib.repr(subject)}; the limit is "
            f"{MAX_SUBJECT}. Name what the event is about by a short key in subject=, not by a text"
        )
    if _has_nul(subject) or _is_no_text(subject):
        raise ValueError(f"{_name(event)}: its subject {reprlib.repr(subject)} has characters that cannot be stored")
    return subject


def _require_equal(event: Event, data: str) -> None:
    try:
        read = type(event).__pydantic_validator__.validate_json(data, extra="ignore").__dict__
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "json_invalid":
            name = _first(event, _is_no_json)[0]
        raise _refusal(event, name, event.__dict__.get(name, _MISSING), first["msg"]) from error
    sent = event.__dict__
    for name, value in sent.items():
        other = read.get(name, _MISSING)
        if type(value) is type(other) and type(value) is not tuple and value == other:
            continue
        # What is in no field and is an attribute of the class is a cached property.
        if not _same(value, other) and (other is not _MISSING or not hasattr(type(event), name)):
            raise _refusal(event, name, value, f"a subscriber would read {_short(other)}")
    if missing := read.keys() - sent.keys():
        raise _refusal(event, min(missing), _MISSING, "it was built without this field")


def _same(sent: Any, read: Any) -> bool:
    kind, other = type(sent), type(read)
    if kind is not other and (kind is bool or not isinstance(sent, other)):
        return False
    if other is tuple and len(sent) == len(read):
        kinds = set(map(type, sent))
        if len(kinds) > 1 or tuple in kinds or kinds != set(map(type, read)):
            return all(map(_same, sent, read))
    return bool(sent == read)


def _as_jsonb(data: str) -> str:
    """The data as PostgreSQL's jsonb gives them back: 1e16 as 10000000000000000, which JSON reads as a whole number."""

    def plain(number: str) -> float | int:
        return int(decimal.Decimal(number)) if "e" in number.lower() and float(number).is_integer() else float(number)

    return to_json(json.loads(data, parse_float=plain)).decode()


@cache
def _has_float(cls: type[Event]) -> bool:
    return any(_mentions_float(field.annotation) for field in cls.model_fields.values())


@cache
def _has_ambiguous_float(cls: type[Event]) -> bool:
    """Whether a float stands beside another type, so that a whole number may be read as that one."""
    return any(_is_ambiguous(field.annotation) for field in cls.model_fields.values())


def _mentions_float(annotation: Any) -> bool:
    return annotation is float or any(map(_mentions_float, typing.get_args(annotation)))


def _is_ambiguous(annotation: Any) -> bool:
    members = set(typing.get_args(annotation)) - {types.NoneType}
    if typing.get_origin(annotation) in (typing.Union, types.UnionType) and len(members) > 1:
        return _mentions_float(annotation)
    return any(map(_is_ambiguous, typing.get_args(annotation)))


def _first(event: Event, is_wrong: Any) -> tuple[str, Any]:
    """The first field with a value that cannot be sent, and that value; ("", _MISSING) if there is none."""
    for name, value in event.__dict__.items():
        for one in _values(value):
            if is_wrong(one):
                return name, one
    return "", _MISSING


def _values(value: Any) -> typing.Iterator[Any]:
    if isinstance(value, (tuple, list, set, frozenset)):
        for one in value:
            yield from _values(one)
    else:
        yield value


def _has_nul(value: Any) -> bool:
    return isinstance(value, str) and "\0" in value


def _is_no_text(value: Any) -> bool:
    """Whether it is a str with half a surrogate pair."""
    try:
        str(value if isinstance(value, str) else "").encode()
    except UnicodeEncodeError:
        return True
    return False


def _is_not_serializable(value: Any) -> bool:
    try:
        to_json(value)
    except PydanticSerializationError:
        return True
    return False


def _is_no_json(value: Any) -> bool:
    """Whether it is a number that JSON cannot hold, or a reader does not take."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and value.bit_length() > 14_000


def _refusal(event: Event, name: str, value: Any, problem: Any = "") -> ValueError:
    """The error of one field: what cannot be sent, and what to write instead."""
    field = f"{_name(event)}.{name}" if name else _name(event)
    wrong = (_is_no_json, _has_nul, _is_no_text, _has_seconds)
    inside = next((one for one in _values(value) if any(is_wrong(one) for is_wrong in wrong)), value)
    if isinstance(inside, float) and not math.isfinite(inside):
        why = f"{inside} is no number in JSON. Emit None instead, in a field of float | None"
    elif isinstance(inside, int) and _is_no_json(inside):
        why = "this whole number has more than 4,300 digits. Emit it as a str"
    elif _has_nul(inside):
        why = (
            f"{_short(inside)} has a NUL character, which PostgreSQL cannot store. Remove it: text.replace(chr(0), '')"
        )
    elif _is_no_text(inside):
        why = (
            f"{_short(inside)} has half a surrogate pair, which is no text. Emit text.encode(errors='replace').decode()"
        )
    elif _has_seconds(inside):
        why = f"the offset of {inside.isoformat()} has seconds, which JSON has not. Emit value.astimezone(datetime.UTC)"
    elif value is _MISSING:
        why = f"{problem}. Build the event by its class, with every field"
    elif _is_of_several_types(type(event), name):
        why = f"{_short(value)} is not read back equal: {problem}. Give the field one type, or one field to each type"
    else:
        why = (
            f"{_short(value)} is not read back equal: {problem}. Build the event by its class, not by model_construct()"
            " or model_copy(update=…), with defaults and validators that give the type of the field"
        )
    return ValueError(f"{field}: {why}.")


def _is_of_several_types(cls: type[Event], name: str) -> bool:
    def several(annotation: Any) -> bool:
        arguments = set(typing.get_args(annotation)) - {types.NoneType}
        is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
        return (is_union and len(arguments) > 1) or any(map(several, arguments))

    return name in cls.model_fields and several(cls.model_fields[name].annotation)


def _has_seconds(value: Any) -> bool:
    """Whether it is a time whose offset from UTC is not of whole minutes."""
    offset = value.utcoffset() if isinstance(value, dt.datetime) else None
    return offset is not None and bool(offset % dt.timedelta(minutes=1))


def _too_large(event: Event, length: int) -> ValueError:
    return ValueError(
        f"{event.topic} has {length:,} characters; the limit is {MAX_CHARACTERS:,}. "
        "Keep large data in a table or a file, and emit its key."
    )


def _short(value: Any) -> str:
    try:
        return "nothing" if value is _MISSING else reprlib.repr(value)
    except ValueError:  # a whole number of too many digits
        return f"a long {type(value).__name__}"


def _name(event: Event) -> str:
    return type(event).__name__
