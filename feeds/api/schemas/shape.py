"""Shape: how strictly what comes in is read, and how a page goes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict

from feeds.lists.pagination import Page

Item = TypeVar("Item")
Row = TypeVar("Row")

#: An empty parameter of a query is one that was left out.
Optional = Annotated[str | None, AfterValidator(lambda value: value or None)]


class Input(BaseModel):
    """A body: nothing is converted, an unknown field is an error and not ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


class PageOut(BaseModel, Generic[Item]):
    """Items, and the cursor that asks for those after them (null: there are none)."""

    items: list[Item]
    next_cursor: str | None

    @classmethod
    def of(cls, page: Page[Row], item: Callable[[Row], Item]) -> PageOut[Item]:
        return cls(items=[item(row) for row in page.items], next_cursor=page.next_cursor)


class Problem(BaseModel):
    """Why a request was refused; `fields` names the values that cannot be taken."""

    detail: str
    fields: dict[str, str] = {}
