"""Tokens: let a program act for a user."""

from __future__ import annotations

import datetime as dt
import secrets

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from feeds.actions.action import verb
from feeds.errors import NotFoundError
from feeds.models import ApiToken, User
from feeds.text import cleaning as texts

#: So that a token that got out is recognised by scanners, and by people.
PREFIX = "airy_"
#: The time of last use is written at most this often.
RESOLUTION = dt.timedelta(minutes=10)


@verb
def create_token(user: User, *, name: str) -> tuple[ApiToken, str]:
    """A new token and its secret, which can be had only now. Raises InvalidError."""
    name = texts.line(name, field="name", most=100)
    secret = PREFIX + secrets.token_urlsafe(32)
    return ApiToken.objects.create(user=user, name=name, digest=ApiToken.digest_of(secret)), secret


@verb
def revoke_token(user: User, *, token_id: int) -> None:
    """Make a token of one's own worthless. Raises NotFoundError."""
    deleted, _rows = user.tokens.filter(pk=token_id).delete()
    if not deleted:
        raise NotFoundError(_("There is no such token."))


def user_of_token(secret: str) -> User | None:
    """Whom a program acts for, or None; notes that the token is in use."""
    token = ApiToken.objects.of_secret(secret)
    if token is None:
        return None
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - RESOLUTION)
    if token.last_used_at is None or now - token.last_used_at > RESOLUTION:
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    return token.user
