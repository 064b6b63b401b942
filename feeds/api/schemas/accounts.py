"""Account and token, as the API takes and gives them."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Self
from urllib.parse import quote

from pydantic import BaseModel, StringConstraints

from feeds.api.schemas.shape import Input
from feeds.models import ApiToken, User

#: Longer ones are not worth hashing.
Password = Annotated[str, StringConstraints(max_length=1_000)]


class Registration(Input):
    """Who wants to join."""

    username: str
    password: Password
    email: str = ""


class Credentials(Input):
    """Who wants to sign in."""

    username: Annotated[str, StringConstraints(max_length=500)]
    password: Password


class AccountPatch(Input):
    """What is to change; a new password needs the current one."""

    username: str = ""
    email: str = ""
    password: Password = ""
    current_password: Password = ""


class Farewell(Input):
    """Leaving needs the password."""

    password: Password


class AccountOut(BaseModel):
    """One's own account."""

    username: str
    email: str
    is_staff: bool
    url: str
    created_at: dt.datetime

    @classmethod
    def of(cls, user: User, /, **more: Any) -> Self:
        return cls(
            username=user.username,
            email=user.email,
            is_staff=user.is_staff,
            url=f"/users/{quote(user.username)}",
            created_at=user.date_joined,
            **more,
        )


class TokenIn(Input):
    """A name to recognise the token by."""

    name: str


class TokenOut(BaseModel):
    """A token without its secret."""

    id: int
    name: str
    created_at: dt.datetime
    last_used_at: dt.datetime | None

    @classmethod
    def of(cls, token: ApiToken, /, **more: Any) -> Self:
        return cls(id=token.pk, name=token.name, created_at=token.created_at, last_used_at=token.last_used_at, **more)


class NewTokenOut(TokenOut):
    """A token with its secret, which is shown this once."""

    token: str
