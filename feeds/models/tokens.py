"""ApiToken: a secret with which a program acts for a user."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from feeds.models.users import User


class Scope(models.TextChoices):
    """What a token may do. Whatever its scopes, it changes no account, no session and no other token."""

    READ = "read", _("reads")
    WRITE = "write", _("writes")


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Tokens."""

    def of_secret(self, secret: str) -> ApiToken | None:
        """The token with this secret, its user loaded; None if there is none, it ended, or the user is banned."""
        found = self.filter(digest=ApiToken.digest_of(secret), user__is_active=True)
        token = found.select_related("user").first()
        return None if token is None or token.has_ended else token

    def of_user(self, user: User) -> ApiTokenQuerySet:
        """The user's tokens that did not end with an earlier password; those that expired, too."""
        return self.filter(user=user, password_mark__in=["", user.password_mark])


class ApiToken(models.Model):
    """A secret with which a program acts for a user. Only its digest is stored.

    scopes: values of Scope, separated by spaces; empty for a token that was made before there were scopes, which may
    read and write. password_mark: `User.password_mark` when the token was made; with any other password it has ended.
    It is empty until the first use of a token that was made before there were marks.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="tokens", verbose_name=_("user"))
    NAME_LENGTH = 100

    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    digest = models.CharField(_("digest"), max_length=64, unique=True, editable=False)
    scopes = models.CharField(_("scopes"), max_length=50, default="", db_default="", editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, editable=False)
    password_mark = models.CharField(max_length=64, default="", db_default="", editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def digest_of(secret: str) -> str:
        """The digest of a secret: SHA-256, in hexadecimal."""
        return hashlib.sha256(secret.encode()).hexdigest()

    @property
    def scope_list(self) -> list[Scope]:
        """The scopes; empty for a token that was made before there were scopes."""
        return [Scope(word) for word in self.scopes.split()]

    @property
    def has_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def has_ended(self) -> bool:
        """Whether the user has another password than when it was made."""
        return self.password_mark not in {"", self.user.password_mark}

    def allows(self, scope: Scope) -> bool:
        """Whether it may be used for this."""
        return not self.scopes or scope in self.scope_list
