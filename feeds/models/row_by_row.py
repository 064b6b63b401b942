"""RowByRow: a QuerySet whose delete() calls the delete() of each row, so that the events of every row are emitted."""

from typing import TypeVar

from django.db import models

from events.db import committed

Row = TypeVar("Row", bound=models.Model)


class RowByRow(models.QuerySet[Row]):
    """Django's own delete() never calls Model.delete(), which emits events and deletes softly."""

    def delete(self) -> tuple[int, dict[str, int]]:
        deleted = 0
        self._for_write = True  # not in a replica
        with committed(using=self.db):
            for row in self.order_by("pk"):
                deleted += row.delete()[0]
        return deleted, {self.model._meta.label: deleted}

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]
