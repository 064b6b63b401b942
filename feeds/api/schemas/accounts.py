"""Account and token, as input and output of the API."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Self
from urllib.parse import quote

from pydantic import BaseModel, StringConstraints

from feeds.api.schemas.shape import Input
from feeds.models import ApiToken, User

#: Above this number of characters a password is refused: hashing it would cost too much.
Password = Annotated[str, StringConstraints(max_length=1_000)]


class Registration(Input):
    """A new account."""

    username: str
    password: Password
    email: str = ""


class Credentials(Input):
    """Username and password."""

    username: Annotated[str, StringConstraints(max_length=500)]
    password: Password


class AccountPatch(Input):
    """The fields to change; a new password needs the current one."""

    username: str = ""
    email: str = ""
    password: Password = ""
    current_password: Password = ""


class Farewell(Input):
    """Deleting the account needs the password."""

    password: Password


class AccountOut(BaseModel):
    """Your account."""

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
    """A name by which you recognise the token."""

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
    """A token with its secret, which is shown only now."""

    token: str
