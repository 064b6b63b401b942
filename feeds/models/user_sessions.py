"""UserSession: a session in which a user is signed in, as the user sees it."""

from __future__ import annotations

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.db import committed


class UserSessionQuerySet(models.QuerySet["UserSession"]):
    """Sessions of users."""

    def alive(self) -> UserSessionQuerySet:
        """Those that have neither ended nor expired."""
        return self.filter(models.Exists(_sessions().filter(expire_date__gt=timezone.now())))

    def dead(self) -> UserSessionQuerySet:
        """Those whose session is gone."""
        return self.exclude(models.Exists(_sessions()))

    def end(self) -> int:
        """Sign out of all of these; returns how many."""
        with committed():
            Session.objects.filter(session_key__in=list(self.values_list("session_key", flat=True))).delete()
            return self.delete()[1].get(UserSession._meta.label, 0)


class UserSession(models.Model):
    """A session of a user, in the table of sessions under `session_key`, and where it was last used.

    browser: its name and system. network: the first part of the address. Both are empty if unknown, and are deleted
    with the session. session_key is a secret, which is shown nowhere. It is no foreign key: the session is saved by
    Django, also by a release that does not know this table.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="sessions", verbose_name=_("user"))
    session_key = models.CharField(max_length=40, unique=True, editable=False)
    browser = models.CharField(_("browser"), max_length=100, default="", db_default="", editable=False)
    network = models.CharField(_("network"), max_length=50, default="", db_default="", editable=False)
    created_at = models.DateTimeField(_("signed in"), default=timezone.now, editable=False)
    last_seen_at = models.DateTimeField(_("last used"), default=timezone.now, editable=False)

    objects = UserSessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")

    def __str__(self) -> str:
        return f"{self.user_id}: {self.browser}"


def _sessions() -> models.QuerySet[Session]:
    return Session.objects.filter(session_key=models.OuterRef("session_key"))
