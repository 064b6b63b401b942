"""The table of the relay room: the terms of the active relay."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..db.primary import PrimaryModel


class RelayTerm(PrimaryModel):
    """The leadership of one relay, from its beginning until it expires. The highest number is the term that counts.

    A relay that carries renews its own term. A standby begins the next term once the last one has expired; it writes a
    row of its own, so nothing that the former leader still holds can keep it waiting.
    """

    number = models.PositiveBigIntegerField(_("number"), primary_key=True)
    holder = models.CharField(_("holder"), max_length=200)
    started_at = models.DateTimeField(_("started"))
    expires_at = models.DateTimeField(_("expires"))

    class Meta:
        verbose_name = _("relay term")
        verbose_name_plural = _("relay terms")

    def __str__(self) -> str:
        return f"{self.number}: {self.holder}"
