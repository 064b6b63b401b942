"""Shape: strict input, pages, and refusals: the forms that all schemas share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from feeds.lists.pagination import CURSOR_LENGTH, Page
from feeds.models import Circle
from feeds.models.soft_delete import SoftDeleted
from feeds.text.usernames import MAX_USERNAME_LENGTH

Item = TypeVar("Item")
Row = TypeVar("Row")


def _require_date_time(value: Any) -> Any:
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d[Tt ]", value):
        raise PydanticCustomError("timezone_aware", "Input should be a date and time with its time zone")
    return value


#: A date and time with its time zone (RFC 3339), such as 2030-01-31T12:00:00Z.
DateTime = Annotated[AwareDatetime, BeforeValidator(_require_date_time), Field(strict=False)]


#: The rules of `airy.rules` that hold for every text that a person writes.
TEXT_RULES = ("text that shows nothing", "characters that are none", "too many marks", "length after cleaning")


def ruled(*rules: str, **said: Any) -> dict[str, Any]:
    """What the OpenAPI document says of a field besides its type. rules: names in `airy.rules` that may refuse it."""
    return said | {"x-rules": list(rules)}


def text(most: int, *, blank: bool = False, rules: Sequence[str] = (), example: str) -> Any:
    """A text that a person writes, of at most so many characters as it is sent. blank: whether it may be.

    The actions check that it is not blank, and the rest after cleaning, with messages that say more than a pattern can.
    """
    filled = {} if blank else {"minLength": 1, "pattern": r"\S"}
    return Field(max_length=most, examples=[example], json_schema_extra=ruled(*TEXT_RULES, *rules, **filled))


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Stands last in the type of a whole number: 7.0 is one in JSON Schema.
whole = BeforeValidator(_whole)
#: The id of a row, as large as the database can hold.
RowId = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": 2**63 - 1}), whole]
#: Usernames, in the syntax of JSON Schema. The whole rule: `feeds.text.usernames`.
NAME = r"^[\p{L}\p{M}\p{N}_-]+$"


def _filter(most: int, *rules: str, **said: Any) -> Any:
    """A parameter of a query string, of at most so many characters; an empty one counts as left out."""
    return WithJsonSchema({"type": "string", "maxLength": most, "default": ""} | ruled(*rules, **said))


OrNone = AfterValidator(lambda value: value or None)
#: Where a list goes on: the `next_cursor` of the page before.
Cursor = Annotated[
    Annotated[str, Field(max_length=CURSOR_LENGTH)] | None,
    OrNone,
    _filter(CURSOR_LENGTH, "cursor", pattern="^[A-Za-z0-9_-]*$"),
]
#: Restricts a list to a circle, by its slug, and to an author, by their username.
CircleFilter = Annotated[
    Annotated[str, Field(max_length=Circle.SLUG_LENGTH)] | None, OrNone, _filter(Circle.SLUG_LENGTH, "no such row")
]
AuthorFilter = Annotated[
    Annotated[str, Field(max_length=MAX_USERNAME_LENGTH)] | None, OrNone, _filter(MAX_USERNAME_LENGTH, "no such row")
]
#: Names in a path.
UsernamePath = Annotated[str, Field(min_length=1, max_length=MAX_USERNAME_LENGTH)]
OtherUsernamePath = Annotated[UsernamePath, Field(json_schema_extra=ruled("oneself"))]
SlugPath = Annotated[str, Field(min_length=1, max_length=Circle.SLUG_LENGTH)]
#: Why a moderator removes a writing; its author reads it.
Reason = Annotated[str, text(SoftDeleted.REASON_LENGTH, blank=True, example="Off topic")]


class Input(BaseModel):
    """A request body: no value is converted, and an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", strict=True)


class PageOut(BaseModel, Generic[Item]):
    """Items, and the cursor of the next page; null on the last page."""

    items: list[Item]
    next_cursor: str | None

    @classmethod
    def of(cls, page: Page[Row], item: Callable[[Row], Item]) -> PageOut[Item]:
        return cls(items=[item(row) for row in page.items], next_cursor=page.next_cursor)


class Problem(BaseModel):
    """Why a request was refused. `fields`: the reason for each value that is not valid."""

    detail: str
    fields: dict[str, str] = {}
