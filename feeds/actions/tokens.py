"""Tokens: create and revoke the secrets with which programs act for a user."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Collection

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from feeds.actions.action import action
from feeds.errors import InvalidError, NotFoundError
from feeds.models import ApiToken, Scope, User
from feeds.text.cleaning import clean_line

#: Every secret begins with this, so that scanners and people recognise a leaked one.
TOKEN_PREFIX = "airy_"
#: Shortest time between two writes of `last_used_at`.
WRITE_INTERVAL = dt.timedelta(minutes=10)
#: A token expires within this time, or not at all.
LONGEST_LIFE = dt.timedelta(days=3660)
#: Tokens that a user can have at once.
MAX_TOKENS = 100


@action
def create_token(
    user: User, *, name: str, scopes: Collection[str] = tuple(Scope.values), expires: dt.datetime | None = None
) -> tuple[ApiToken, str]:
    """A new token and its secret, which is stored nowhere. Raises InvalidError.

    scopes: values of Scope, at least one. expires: None for never.
    """
    name = clean_line(name, field="name", max_length=ApiToken.NAME_LENGTH)
    if not scopes or not set(Scope.values).issuperset(scopes):
        raise InvalidError("scopes", _("Choose at least one scope: read, write."))
    if expires is not None and expires <= timezone.now():
        raise InvalidError("expires", _("This must be in the future."))
    if expires is not None and expires > timezone.now() + LONGEST_LIFE:
        raise InvalidError("expires", _("This must be within ten years. Leave it out for a token that never expires."))
    if ApiToken.objects.of_user(user).count() >= MAX_TOKENS:
        raise InvalidError("name", _("You have %(count)s tokens. Revoke one first.") % {"count": MAX_TOKENS})
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user,
        name=name,
        digest=ApiToken.digest_of(secret),
        scopes=" ".join(scope for scope in Scope.values if scope in scopes),
        expires_at=expires,
        password_mark=user.password_mark,
    )
    return token, secret


@action
def revoke_token(user: User, *, token_id: int) -> None:
    """Delete one of the user's own tokens. Raises NotFoundError."""
    deleted, _rows = user.tokens.filter(pk=token_id).delete()
    if not deleted:
        raise NotFoundError(_("This token doesn't exist or has been revoked."))


def token_of_secret(secret: str) -> ApiToken | None:
    """The token with this secret, its user loaded, also if it has expired.

    None if there is none, if it ended with an earlier password, or if its user is banned.
    """
    return ApiToken.objects.of_secret(secret)


def mark_used(token: ApiToken) -> None:
    """Write the time of use, and give a token from before there were marks to the current password."""
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - WRITE_INTERVAL) | Q(password_mark="")
    if token.last_used_at is None or now - token.last_used_at > WRITE_INTERVAL or not token.password_mark:
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now, password_mark=token.user.password_mark)
