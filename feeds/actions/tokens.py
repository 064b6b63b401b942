"""Tokens: create and revoke the secrets with which programs act for a user."""

from __future__ import annotations

import datetime as dt
import secrets

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from feeds.actions.action import action
from feeds.errors import NotFoundError
from feeds.models import ApiToken, User
from feeds.text.cleaning import clean_line

#: Every secret begins with this, so that scanners and people recognise a leaked one.
TOKEN_PREFIX = "airy_"
#: Shortest time between two writes of `last_used_at`.
WRITE_INTERVAL = dt.timedelta(minutes=10)


@action
def create_token(user: User, *, name: str) -> tuple[ApiToken, str]:
    """A new token and its secret, which is stored nowhere. Raises InvalidError."""
    name = clean_line(name, field="name", max_length=100)
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return ApiToken.objects.create(user=user, name=name, digest=ApiToken.digest_of(secret)), secret


@action
def revoke_token(user: User, *, token_id: int) -> None:
    """Delete one of the user's own tokens. Raises NotFoundError."""
    deleted, _rows = user.tokens.filter(pk=token_id).delete()
    if not deleted:
        raise NotFoundError(_("This token doesn't exist or has been revoked."))


def user_of_token(secret: str) -> User | None:
    """The user of the token with this secret, None if there is none; writes the time of use."""
    token = ApiToken.objects.of_secret(secret)
    if token is None:
        return None
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - WRITE_INTERVAL)
    if token.last_used_at is None or now - token.last_used_at > WRITE_INTERVAL:
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    return token.user
