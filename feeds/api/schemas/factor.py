"""The second factor, as input and output of the API."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import BaseModel, Field

from feeds.api.schemas.accounts import CurrentPassword
from feeds.api.schemas.shape import Input, ruled

#: A code of an app, or a recovery code, with spaces or dashes or without.
Code = Annotated[str, Field(max_length=100, examples=["123456"], json_schema_extra=ruled("code", "factor"))]


class Confirmed(Input):
    """The current password."""

    current_password: CurrentPassword = ""


class CodeIn(Input):
    """A code that the app shows."""

    code: Code


class FactorOut(BaseModel):
    """The second factor. created_at: since when it is on. recovery_codes: how many are left."""

    on: bool
    created_at: dt.datetime | None
    recovery_codes: int


class SetupOut(BaseModel):
    """A secret for an app, and the otpauth:// address by which an app takes it in."""

    secret: str
    address: str


class RecoveryCodesOut(BaseModel):
    """Recovery codes; each is worth one sign-in."""

    recovery_codes: list[str]
