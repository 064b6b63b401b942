"""Circle and membership, as input and output of the API."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Self
from urllib.parse import quote

from pydantic import BaseModel

from feeds.api.schemas.shape import Input, text
from feeds.models import Circle


class CircleIn(Input):
    """A new circle; without a slug it is made of the name."""

    name: Annotated[str, text(Circle.NAME_LENGTH, rules=["slug", "taken"], example="Cats and dogs")]
    slug: Annotated[str, text(Circle.SLUG_LENGTH, blank=True, rules=["slug", "taken"], example="cats-and-dogs")] = ""
    description: Annotated[str, text(Circle.DESCRIPTION_LENGTH, blank=True, example="Pictures welcome.")] = ""


class CircleOut(BaseModel):
    """A circle; `member`: whether you are a member."""

    slug: str
    name: str
    description: str
    owner: str
    member_count: int
    member: bool
    url: str
    created_at: dt.datetime

    @classmethod
    def of(cls, circle: Any) -> Self:
        """From a circle of feeds.lists.circles."""
        return cls(
            slug=circle.slug,
            name=circle.name,
            description=circle.description,
            owner=circle.owner.username,
            member_count=circle.member_count,
            member=circle.is_member,
            url=f"/circles/{quote(circle.slug)}",
            created_at=circle.created_at,
        )


class MembershipOut(BaseModel):
    """Whether you are a member now, and the number of members."""

    member: bool
    member_count: int
