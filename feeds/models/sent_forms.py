"""SentForm: a form that a user sent, so that the same form makes one thing only."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

#: A form that was sent earlier than this is not recognised.
REMEMBERED = dt.timedelta(days=1)


class SentFormQuerySet(models.QuerySet["SentForm"]):
    """Forms that were sent."""

    def forget(self, most: int) -> int:
        """Delete forms that are no longer recognised, up to `most`; those that another transaction deletes are left.
        Returns how many."""
        old = self.filter(sent_at__lt=timezone.now() - REMEMBERED).order_by("sent_at")
        ids = list(old.select_for_update(skip_locked=True).values_list("pk", flat=True)[:most])
        return self.filter(pk__in=ids).delete()[0]


class SentForm(models.Model):
    """A form that a user sent, by its key. The row is written in the transaction that makes what the form asks for.

    key: a digest of the one-time key of the form and of what the form is for. digest: of what was typed; both in
    hexadecimal. address: the path of what was made.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="sent_forms", db_index=False, verbose_name=_("user")
    )
    key = models.CharField(_("key"), max_length=64)
    digest = models.CharField(_("digest"), max_length=64)
    address = models.CharField(_("address"), max_length=200, default="", db_default="")
    sent_at = models.DateTimeField(_("sent"), default=timezone.now, db_index=True)

    objects = SentFormQuerySet.as_manager()

    class Meta:
        verbose_name = _("sent form")
        verbose_name_plural = _("sent forms")
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="feeds_sent_form_once")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.address}"
