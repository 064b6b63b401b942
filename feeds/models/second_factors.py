"""SecondFactor: the app whose codes a user needs to sign in; RecoveryCode: what helps when it is lost."""

from __future__ import annotations

import datetime as dt
import logging

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource
from feeds.factor import recovery
from feeds.factor.seal import BrokenSealError, seal, unseal
from feeds.factor.totp import step_of
from feeds.models.row_by_row import RowByRow

logger = logging.getLogger(__name__)

#: Wrong codes before the pauses begin. The first pause is a minute, each further wrong code doubles it.
FREE_FAILURES = 5
FIRST_PAUSE = dt.timedelta(minutes=1)
#: Guessing a code takes three in a million tries; at one try an hour that is a matter of decades.
LONGEST_PAUSE = dt.timedelta(hours=1)


class SecondFactorQuerySet(RowByRow["SecondFactor"]):
    """Second factors. Deleting one turns it off."""


class SecondFactor(EventSource, models.Model):
    """The app whose codes a user needs to sign in. There is a row only while it is on."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="factors", verbose_name=_("user"))
    sealed_secret = models.TextField(_("sealed secret"), editable=False)
    #: A code is taken once: those of this step and of earlier ones are refused.
    last_step = models.BigIntegerField(_("last step"), default=0, db_default=0, editable=False)
    failures = models.PositiveIntegerField(_("wrong codes in a row"), default=0, db_default=0, editable=False)
    failed_at = models.DateTimeField(_("last wrong code"), null=True, editable=False)
    created_at = models.DateTimeField(_("since"), default=timezone.now, editable=False)

    objects = SecondFactorQuerySet.as_manager()

    class Meta:
        verbose_name = _("second factor")
        verbose_name_plural = _("second factors")
        constraints = [models.UniqueConstraint(fields=["user"], name="feeds_one_factor")]

    def __str__(self) -> str:
        return str(self.user)

    def pause(self, *, now: dt.datetime) -> int:
        """The seconds until the next code of the app is looked at; 0 without a pause."""
        if self.failures < FREE_FAILURES or self.failed_at is None:
            return 0
        doubled = FIRST_PAUSE * 2 ** min(self.failures - FREE_FAILURES, 10)
        left = self.failed_at + min(doubled, LONGEST_PAUSE) - now
        return max(0, int(left.total_seconds()) + 1) if left > dt.timedelta(0) else 0

    def take(self, code: str, *, now: dt.datetime) -> bool:
        """Whether the code is right. It is taken then, and never again. A wrong one of the app is counted; a recovery
        code is too long to be guessed.

        Call it on a locked row, in a transaction, and not during a pause unless for a recovery code.
        """
        code = recovery.typed(code)
        if recovery.is_recovery_code(code):
            return bool(self.recovery_codes.filter(digest=recovery.digest_of(code)).delete()[0])
        right = self._take_step(code, now=now)
        self.failures, self.failed_at = (0, None) if right else (self.failures + 1, now)
        self.save()
        return right

    def _take_step(self, code: str, *, now: dt.datetime) -> bool:
        try:
            secret = unseal(self.sealed_secret)
        except BrokenSealError:
            logger.error("a factor cannot be read: SECRET_KEY_FALLBACKS lacks its key", extra={"user": self.user_id})
            return False
        step = step_of(code, secret=secret, now=now.timestamp())
        if step is None or step <= self.last_step:
            return False
        self.last_step, self.sealed_secret = step, seal(secret)  # sealed anew, with the key of today
        return True


class RecoveryCode(models.Model):
    """A code that lets a user in once. Only its digest is stored, and the row is deleted with its use."""

    factor = models.ForeignKey(
        SecondFactor, models.CASCADE, related_name="recovery_codes", verbose_name=_("second factor")
    )
    digest = models.CharField(_("digest"), max_length=64, editable=False)

    class Meta:
        verbose_name = _("recovery code")
        verbose_name_plural = _("recovery codes")
        constraints = [models.UniqueConstraint(fields=["factor", "digest"], name="feeds_recovery_code_once")]

    def __str__(self) -> str:
        return f"{self.factor}"
