"""Accounts: register, change, delete."""

from __future__ import annotations

from typing import TypedDict, Unpack

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils.translation import gettext as _

from events.db import committed
from feeds.actions.action import action
from feeds.actions.emails import owe_confirmation
from feeds.actions.refusal import refusal
from feeds.errors import InvalidError, TakenError
from feeds.models import User
from feeds.text.cleaning import clean_line, require_text
from feeds.text.usernames import normalized_username


class AccountChanges(TypedDict, total=False):
    """The fields of an account that can change; a missing key leaves the field as it is."""

    username: str
    email: str
    password: str


def register(*, username: str, password: str, email: str = "", site: str = "") -> User:
    """Open an account. Raises InvalidError, and TakenError for a name that a user has or had, in whatever case, or that
    looks like one.

    site: the address of this site, such as https://airy.example, for the link that confirms the e-mail address.
    """
    user = User()
    _change(user, username=username, email=email, password=password)
    with committed():
        _save(user)
        owe_confirmation(user, site=site, replaces=False)
    return user


@action
def change_account(user: User, *, site: str = "", **changes: Unpack[AccountChanges]) -> User:
    """Change the user's name, e-mail address or password. Raises InvalidError, TakenError.

    A new address is to be confirmed; until then the confirmed one stays the one for links to a new password.
    """
    before = user.email
    _change(user, **changes)
    _save(user, update_fields=set(changes))
    if user.email != before:
        owe_confirmation(user, site=site, replaces=bool(user.confirmed_email))
    return user


@action
def delete_account(user: User, *, erase_texts: bool = False) -> None:
    """Delete the account: as `User.leave`; posts and comments stay without the name, or are erased."""
    User.objects.get(pk=user.pk).leave(erase_texts=erase_texts)
    user.is_active = False


def _change(user: User, **changes: Unpack[AccountChanges]) -> None:
    if "username" in changes:
        user.username = normalized_username(clean_line(changes["username"], field="username", max_length=500))
    if "email" in changes:
        user.email = clean_line(changes["email"], field="email", max_length=254, blank=True)
    if "password" in changes:
        password = require_text(changes["password"], field="password")
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise InvalidError("password", " ".join(error.messages)) from None
        user.set_password(password)
    try:
        user.full_clean(exclude=["password", "username_folded"])
    except ValidationError as error:
        raise refusal(error) from None


def _save(user: User, *, update_fields: set[str] | None = None) -> None:
    try:
        user.save(update_fields=update_fields)
    except ValidationError as error:
        raise refusal(error) from None
    except IntegrityError:
        raise TakenError("username", _("This username is already taken. Choose another.")) from None
