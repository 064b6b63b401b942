"""Circle and membership, as the API takes and gives them."""

from __future__ import annotations

import datetime as dt
from typing import Any, Self
from urllib.parse import quote

from pydantic import BaseModel

from feeds.api.schemas.shape import Input


class CircleIn(Input):
    """A new circle; without a slug it takes one from its name."""

    name: str
    slug: str = ""
    description: str = ""


class CircleOut(BaseModel):
    """A circle; `member` says whether the viewer is one."""

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
        """A circle as feeds.lists.circles shows it."""
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
    """Whether one belongs to the circle now, and how many do."""

    member: bool
    member_count: int
