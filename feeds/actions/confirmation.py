"""Confirmation: the current password, without which an account is neither changed nor deleted."""

from __future__ import annotations

from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest
from django.utils.translation import gettext as _

from feeds import limits
from feeds.errors import InvalidError
from feeds.models import User


def confirm_password(request: HttpRequest, user: User, password: str, *, field: str) -> None:
    """Raises InvalidError for the field unless this is the user's current password, TooOftenError after many.

    The session of the request stays signed in, whatever password is stored in this request.
    """
    if not user.password or not user.has_usable_password():
        raise InvalidError(
            field, _("This account has no password. Ask those who run this site to set one, then try again.")
        )
    if not password:
        raise InvalidError(field, _("Enter your current password."))
    tried = limits.attempt(request, user.username, what="password")
    stored, user.renewed_session = user.password, request.session.session_key
    if not user.check_password(password):
        tried.failed()
        raise InvalidError(field, _("Wrong password."))
    tried.succeeded()
    if user.password != stored:  # its hash was outdated
        update_session_auth_hash(request, user)
        user.renewed_session = request.session.session_key
