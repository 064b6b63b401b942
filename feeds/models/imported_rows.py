"""ImportedRow: which row of an imported dump became which row of ours."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models
from django.utils.translation import gettext_lazy as _


class ImportedRowQuerySet(models.QuerySet["ImportedRow"]):
    """Imported rows."""

    def objects_of(self, source: str, kind: str, external_ids: Iterable[str]) -> dict[str, int]:
        """Our ids of these rows of a dump, by their ids in the dump; rows that were not imported are left out."""
        found = self.filter(source=source, kind=kind, external_id__in=set(external_ids))
        return dict(found.values_list("external_id", "object_id"))


class ImportedRow(models.Model):
    """A row of a dump was imported. Written in the same transaction as the row itself.

    So an import continues where it was interrupted and imports no row twice, not even one deleted since.
    """

    EXTERNAL_ID_LENGTH = 255

    source = models.CharField(_("source"), max_length=100)
    kind = models.CharField(_("kind"), max_length=20)
    external_id = models.CharField(_("id in the source"), max_length=EXTERNAL_ID_LENGTH)
    object_id = models.BigIntegerField(_("number here"))

    objects = ImportedRowQuerySet.as_manager()

    class Meta:
        verbose_name = _("imported row")
        verbose_name_plural = _("imported rows")
        constraints = [models.UniqueConstraint(fields=["source", "kind", "external_id"], name="feeds_importedrow_once")]

    def __str__(self) -> str:
        return f"{self.source}: {self.kind}/{self.external_id} = {self.object_id}"
