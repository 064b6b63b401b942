"""Plain: the types that the fields of an event may have, and what becomes of their values as an event is built."""

from __future__ import annotations

import datetime as dt
import decimal
import types
import typing
import uuid
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, TzInfo, core_schema

PLAIN_TYPES = (int, str, bool, float, types.NoneType, uuid.UUID, dt.datetime, dt.date, decimal.Decimal)
#: Tuples within tuples, at most: a reader of JSON gives up on what is nested deeper than 200.
MAX_DEPTH = 100


def require_plain(cls: type, name: str, annotation: Any, *, depth: int = 0) -> None:
    """Raises TypeError, with what to write instead, unless a field's annotation is plain."""
    if depth > MAX_DEPTH:
        raise TypeError(
            f"{cls.__name__}.{name}: it is nested deeper than {MAX_DEPTH} tuples, too deep for readers of JSON"
        )
    if annotation in PLAIN_TYPES or annotation is Ellipsis:
        return
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        if any(isinstance(value, bytes) for value in arguments):
            raise TypeError(f"{cls.__name__}.{name}: {annotation} has bytes, which JSON cannot hold; use a str")
        return
    if origin in (tuple, typing.Union, types.UnionType) and arguments:
        for argument in arguments:
            require_plain(cls, name, argument, depth=depth + 1)
        return
    raise TypeError(
        f"{cls.__name__}.{name}: {annotation} is not a plain type; an event carries IDs and values "
        "(int, str, bool, float, dates, UUID, Decimal, Literal, and tuples of these, not lists or models)"
    )


def with_fixed_offsets(schema: Any) -> Any:
    """A core schema whose times keep their offset alone: a time of a zone that is ambiguous, in the hour when the clock
    goes back, equals no time of another zone, and so not what a subscriber reads."""
    if isinstance(schema, (list, tuple)):
        return type(schema)(map(with_fixed_offsets, schema))
    if not isinstance(schema, dict):
        return schema
    schema = {
        key: value if key in ("metadata", "serialization", "config", "cls", "default") else with_fixed_offsets(value)
        for key, value in schema.items()
    }
    is_time = schema.get("type") == "datetime"
    return core_schema.no_info_after_validator_function(_with_fixed_offset, schema) if is_time else schema


def _with_fixed_offset(time: dt.datetime) -> dt.datetime:
    if isinstance(time.tzinfo, (dt.timezone, TzInfo, types.NoneType)):
        return time
    offset = time.utcoffset()
    return time.replace(tzinfo=None if offset is None else dt.timezone(offset), fold=0)


#: How to convert a value, by the class that an error names or by the error itself.
_CONVERSIONS = {
    "Decimal": "Decimal(str(value))",
    "UUID": "UUID(str(value))",
    "int_type": "int(value)",
    "float_type": "float(value)",
    "string_type": "str(value)",
    "bool_type": "bool(value)",
    "tuple_type": "tuple(values)",
    "date_type": "date.fromisoformat(value)",
    "datetime_type": "datetime.fromisoformat(value)",
}


def with_cure(error: ValidationError) -> ValidationError:
    """The same error, which says what to write instead of a value of another type."""
    return ValidationError.from_exception_data(error.title, [_detail(one) for one in error.errors(include_url=False)])


def _detail(one: Any) -> InitErrorDetails:
    kind = one["type"]
    if cure := _cure(one):
        kind, one["ctx"] = PydanticCustomError(kind, "{text}", {"text": one["msg"] + cure}), {}
    return InitErrorDetails(type=kind, loc=one["loc"], input=one["input"], ctx=one.get("ctx", {}))


def _cure(error: Any) -> str:
    conversion = _CONVERSIONS.get((error.get("ctx") or {}).get("class", "") or error["type"])
    if conversion is None:
        return ""
    return (
        f". Events are strict: write {conversion}. A model instance holds what it was given until it is read again:"
        " call full_clean() before save(), or refresh_from_db() before the event is built"
    )
