"""Account and token, as input and output of the API."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, Field

from feeds.api.schemas.shape import NAME, TEXT_RULES, DateTime, Input, ruled, text
from feeds.models import ApiToken, User, UserSession
from feeds.text.usernames import MAX_USERNAME_LENGTH

#: Above this number of characters a password is refused: hashing it would cost too much.
Password = Annotated[str, Field(max_length=1_000)]
CurrentPassword = Annotated[
    str, Field(max_length=1_000, examples=["correct horse 1"], json_schema_extra=ruled("current password"))
]
#: Django's validators say more: not common, not like the name.
NewPassword = Annotated[
    str,
    Field(
        max_length=1_000,
        examples=["correct horse 1"],
        json_schema_extra=ruled("password", "characters that are none", minLength=8),
    ),
]
Username = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_USERNAME_LENGTH,
        pattern=NAME,
        examples=["alice"],
        json_schema_extra=ruled(*TEXT_RULES, "username", "taken"),
    ),
]
Email = Annotated[
    str,
    Field(
        max_length=254,
        examples=["alice@example.org"],
        json_schema_extra=ruled(*TEXT_RULES, "e-mail", anyOf=[{"format": "email"}, {"const": ""}]),
    ),
]


class Registration(Input):
    """A new account."""

    username: Username
    password: NewPassword
    email: Email = ""


class Credentials(Input):
    """Username and password; code: of the second factor, if the account has one."""

    username: Annotated[str, Field(max_length=500, examples=["alice"])]
    password: Annotated[Password, Field(examples=["correct horse 1"])]
    code: Annotated[str, Field(max_length=100, examples=["123456"])] = ""


class AccountPatch(Input):
    """The fields to change; any change needs the current password."""

    username: Username = ""
    email: Email = ""
    password: NewPassword = ""
    current_password: CurrentPassword = ""


class Farewell(Input):
    """Deleting the account needs the current password; `password` is its earlier name. texts: whether your posts and
    comments stay without your name, or are erased."""

    current_password: CurrentPassword = ""
    password: CurrentPassword = ""
    texts: Literal["keep", "erase"] = "keep"


class AccountOut(BaseModel):
    """Your account."""

    username: str
    email: str
    email_confirmed: bool
    is_staff: bool
    url: str
    created_at: dt.datetime

    @classmethod
    def of(cls, user: User, /, **more: Any) -> Self:
        return cls(
            username=user.username,
            email=user.email,
            email_confirmed=user.email_confirmed,
            is_staff=user.is_staff,
            url=f"/users/{quote(user.username)}",
            created_at=user.date_joined,
            **more,
        )


class TokenIn(Input):
    """A name by which you recognise the token, what it may do, and when it expires (null: never)."""

    name: Annotated[str, text(ApiToken.NAME_LENGTH, rules=["tokens"], example="Backup")]
    scopes: Annotated[list[Literal["read", "write"]], Field(min_length=1, max_length=2)] = ["read", "write"]
    expires: Annotated[DateTime, Field(json_schema_extra=ruled("expiry"))] | None = None


class TokenOut(BaseModel):
    """A token without its secret. `scopes` is `["all"]` for one that was made before there were scopes."""

    id: int
    name: str
    scopes: list[Literal["read", "write", "all"]]
    expires: dt.datetime | None
    expired: bool
    created_at: dt.datetime
    last_used_at: dt.datetime | None

    @classmethod
    def of(cls, token: ApiToken, /, **more: Any) -> Self:
        return cls(
            id=token.pk,
            name=token.name,
            scopes=[scope.value for scope in token.scope_list] or ["all"],
            expires=token.expires_at,
            expired=token.has_expired,
            created_at=token.created_at,
            last_used_at=token.last_used_at,
            **more,
        )


class NewTokenOut(TokenOut):
    """A token with its secret, which is shown only now."""

    token: str


class SessionOut(BaseModel):
    """A session in which you are signed in. `current`: the one that asks. `last_seen_at` is about an hour exact.

    `browser` ("Firefox, Linux") and `network` ("192.0.2.0/24") are where it was last used; empty if unknown.
    """

    id: int
    current: bool
    browser: str
    network: str
    created_at: dt.datetime
    last_seen_at: dt.datetime

    @classmethod
    def of(cls, session: UserSession, *, current: bool) -> Self:
        return cls(
            id=session.pk,
            current=current,
            browser=session.browser,
            network=session.network,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
        )
