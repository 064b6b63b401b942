"""Shape: strict input, pages, and refusals: the forms that all schemas share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict

from feeds.lists.pagination import Page

Item = TypeVar("Item")
Row = TypeVar("Row")

#: A parameter of a query string; an empty one counts as left out.
OptionalText = Annotated[str | None, AfterValidator(lambda value: value or None)]


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
