"""People, follows, blocks and mutes, as input and output of the API."""

from __future__ import annotations

import datetime as dt
from typing import Any, Self
from urllib.parse import quote

from pydantic import BaseModel

from feeds.api.schemas.shape import Input


class PersonOut(BaseModel):
    """A person, and whether you follow, block or mute them."""

    username: str
    url: str
    created_at: dt.datetime
    follower_count: int
    following_count: int
    following: bool
    bell: bool | None
    blocked: bool
    muted: bool

    @classmethod
    def of(cls, person: Any) -> Self:
        """From a user of feeds.lists.profiles."""
        return cls(
            username=person.username,
            url=f"/users/{quote(person.username)}",
            created_at=person.date_joined,
            follower_count=person.follower_count,
            following_count=person.following_count,
            following=person.is_followed,
            bell=person.bell,
            blocked=person.is_blocked,
            muted=person.is_muted,
        )


class FollowIn(Input):
    """`bell`: whether each new post is a notice; null is the default rule; left out, it stays as it is."""

    bell: bool | None = None


class FollowOut(BaseModel):
    """Whether you follow the person now."""

    following: bool
    bell: bool | None


class BlockOut(BaseModel):
    """Whether you block the person now."""

    blocked: bool


class MuteOut(BaseModel):
    """Whether you mute the person now."""

    muted: bool
