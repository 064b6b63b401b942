"""Retained: a row that deleting hides and keeps, and whose turning points happen once."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource


class Retained(EventSource, models.Model):
    """Created, updated, deleted softly.

    A field named in `once` keeps the first value that was committed: an instance loaded before cannot take it back by a
    late save, so a deleted row stays deleted and a post is published at one moment only.
    """

    once: ClassVar[tuple[str, ...]] = ("deleted_at",)

    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, editable=False)

    class Meta:
        abstract = True

    def save_base(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        """Where Django writes, after EventSource has read `previous` under the lock."""
        if self.previous is not None:
            self.keep_what_happened(self.previous)
        if update_fields:
            update_fields = frozenset({*update_fields, "updated_at"})
        super().save_base(*args, update_fields=update_fields, **kwargs)  # type: ignore[misc]

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Hide the row for good."""
        self.deleted_at = self.deleted_at or timezone.now()
        self.save(using=using, update_fields={"deleted_at"})
        return 1, {self._meta.label: 1}

    delete.alters_data = True  # type: ignore[attr-defined]

    def keep_what_happened(self, previous: Self) -> None:
        """Take over from the row what happens only once."""
        for name in self.once:
            first = getattr(previous, name)
            if first is not None:
                setattr(self, name, first)
