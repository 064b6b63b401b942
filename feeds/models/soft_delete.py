"""Soft delete: deleting a row hides it and keeps it."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource


class SoftDeleted(EventSource, models.Model):
    """A row with the times when it was created, updated and deleted.

    A field named in `set_once` keeps the first value that was committed. A save of an instance that was loaded before
    cannot reset it: a deleted row stays deleted, and a post keeps its time of publication.
    """

    set_once: ClassVar[tuple[str, ...]] = ("deleted_at",)

    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, editable=False)

    class Meta:
        abstract = True

    def save_base(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        """Keep first values, then write the row. EventSource has read `previous` under the row lock before this."""
        if self.previous is not None:
            self.keep_first_values(self.previous)
        if update_fields:
            update_fields = frozenset({*update_fields, "updated_at"})
        super().save_base(*args, update_fields=update_fields, **kwargs)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Set `deleted_at`, which hides the row for good."""
        self.deleted_at = self.deleted_at or timezone.now()
        self.save(using=using, update_fields={"deleted_at"})
        return 1, {self._meta.label: 1}

    delete.alters_data = True  # type: ignore[attr-defined]

    def keep_first_values(self, previous: Self) -> None:
        """Take over the values of `set_once` fields from the row in the database."""
        for name in self.set_once:
            first = getattr(previous, name)
            if first is not None:
                setattr(self, name, first)
