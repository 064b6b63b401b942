"""The tables of the worker room: processes and their heartbeats, what processes that ended have counted, and the
installation that they belong to."""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..db.primary import PrimaryModel
from .processes import ProcessQuerySet


class Process(PrimaryModel):
    """The heartbeat of a process: web, worker or relay. token: which one it is; names and numbers return."""

    token = models.UUIDField(_("token"), unique=True, null=True, editable=False)

    kind = models.CharField(_("kind"), max_length=20)
    host = models.CharField(_("host"), max_length=200)
    pid = models.PositiveIntegerField(_("pid"))
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    beat_at = models.DateTimeField(_("last beat"), default=timezone.now)
    figures = models.JSONField(_("figures"), default=dict)

    objects = ProcessQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        verbose_name = _("process")
        verbose_name_plural = _("processes")

    def __str__(self) -> str:
        return f"{self.kind} {self.pid}@{self.host}"


class FoldedCounts(PrimaryModel):
    """The one row of what processes have counted whose rows are gone.

    folded: by token, the counts of the last processes that were found dead: one of them may beat again.
    """

    #: The only key there is.
    key = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    counts = models.JSONField(_("counts"), default=dict)
    folded = models.JSONField(_("folded"), default=dict)

    class Meta:
        verbose_name = _("folded counts")
        verbose_name_plural = _("folded counts")

    def __str__(self) -> str:
        return f"{len(self.counts)} families"


class Installation(PrimaryModel):
    """The one row that says which installation this database belongs to. A broker is marked with it, so that a second
    installation does not take the first one's messages."""

    #: The only key there is.
    key = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    installation_id = models.UUIDField(_("installation"), default=uuid.uuid4, editable=False)

    class Meta:
        verbose_name = _("installation")
        verbose_name_plural = _("installations")

    def __str__(self) -> str:
        return str(self.installation_id)
