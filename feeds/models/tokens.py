"""ApiToken: a secret with which a program acts for a user."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Tokens."""

    def of_secret(self, secret: str) -> ApiToken | None:
        """The token with this secret, its user loaded; None if there is none or the user is banned."""
        found = self.filter(digest=ApiToken.digest_of(secret), user__is_active=True)
        return found.select_related("user").first()


class ApiToken(models.Model):
    """A secret with which a program acts for a user. Only its digest is stored."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="tokens", verbose_name=_("user"))
    name = models.CharField(_("name"), max_length=100)
    digest = models.CharField(_("digest"), max_length=64, unique=True, editable=False)
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
