"""Accounts: register, change, delete."""

from __future__ import annotations

from typing import TypedDict, Unpack

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils.translation import gettext as _

from feeds.actions.action import verb
from feeds.errors import InvalidError, TakenError
from feeds.models import User
from feeds.text import cleaning as texts
from feeds.text.usernames import normalized


class AccountChanges(TypedDict, total=False):
    """What may be changed of an account; what is left out stays."""

    username: str
    email: str
    password: str


def register(*, username: str, password: str, email: str = "") -> User:
    """Open an account. Raises InvalidError, and TakenError for a name that someone has in whatever case."""
    user = User()
    _change(user, username=username, email=email, password=password)
    _save(user)
    return user


@verb
def change_account(user: User, **changes: Unpack[AccountChanges]) -> User:
    """Change name, address or password of one's own. Raises InvalidError, TakenError."""
    _change(user, **changes)
    _save(user, update_fields=set(changes))
    return user


@verb
def delete_account(user: User) -> None:
    """Leave: name, address, password and ties are forgotten; what was written stays, under no name."""
    User.objects.get(pk=user.pk).delete()
    user.is_active = False


def _change(user: User, **changes: Unpack[AccountChanges]) -> None:
    if "username" in changes:
        user.username = normalized(texts.line(changes["username"], field="username", most=500))
    if "email" in changes:
        user.email = texts.line(changes["email"], field="email", most=254, blank=True)
    if "password" in changes:
        password = texts.require_text(changes["password"], field="password")
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise InvalidError("password", " ".join(error.messages)) from None
        user.set_password(password)
    try:
        user.full_clean(exclude=["password", "username_folded"])
    except ValidationError as error:
        raise _refusal(error) from None


def _save(user: User, *, update_fields: set[str] | None = None) -> None:
    try:
        user.save(update_fields=update_fields)
    except IntegrityError:
        raise TakenError("username", _("This name is taken.")) from None


def _refusal(error: ValidationError) -> InvalidError:
    field, problems = next(iter(error.error_dict.items()))
    taken = any(problem.code in {"unique", "taken"} for problem in problems)
    return (TakenError if taken else InvalidError)(field, " ".join(error.message_dict[field]))
