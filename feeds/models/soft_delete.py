"""Soft delete: a row that is deleted is hidden and keeps its place; what a person wrote in it is erased."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource, emit, redact
from events.db import committed
from feeds.events import TextRemoved

if TYPE_CHECKING:
    from feeds.models.users import User

#: How long a text that a moderator removed can be restored; then it is erased.
RESTORABLE = dt.timedelta(days=30)


class SoftDeleted(EventSource, models.Model):
    """A text with the times when it was created, updated and deleted.

    | what happened           | deleted_at | removed_by | erased_at | its content       |
    |-------------------------|------------|------------|-----------|-------------------|
    | nothing                 |            |            |           | is shown          |
    | its author deleted it   | set        |            | set       | is gone, at once  |
    | a moderator removed it  | set        | set        |           | hidden, restorable |
    | … 30 days ago           | set        | set        | set       | is gone           |

    A field named in `set_once` keeps the first value that was committed. A save of an instance that was loaded before
    cannot reset it: a deleted row stays deleted, an erased one erased, and a post keeps its time of publication.

    written: the fields that hold what a person wrote.
    """

    set_once: ClassVar[tuple[str, ...]] = ("deleted_at", "removed_by_id", "removal_reason", "erased_at")
    written: ClassVar[tuple[str, ...]] = ()
    REASON_LENGTH = 300

    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, editable=False)
    removed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        related_name="+",
        null=True,
        editable=False,
        db_index=False,
        verbose_name=_("removed by the moderator"),
    )
    removal_reason = models.CharField(
        _("reason of the removal"), max_length=REASON_LENGTH, blank=True, default="", db_default="", editable=False
    )
    erased_at = models.DateTimeField(_("erased"), null=True, editable=False)

    #: The user who removes or restores it; not a column.
    moderator_id: int | None = None
    _restoring = False

    class Meta:
        abstract = True

    @property
    def entity(self) -> str:
        """What its events are about: "post/7"."""
        return f"{self._meta.model_name}/{self.pk}"

    @property
    def is_restorable(self) -> bool:
        """Whether a moderator removed it, and its content is still there."""
        return self.removed_by_id is not None and self.erased_at is None

    def save_base(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        """Keep first values, then write the row. EventSource has read `previous` under the row lock before this."""
        if self.previous is not None and not self._restoring:
            self.keep_first_values(self.previous)
        if update_fields:
            update_fields = frozenset({*update_fields, "updated_at"})
        super().save_base(*args, update_fields=update_fields, **kwargs)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """As its author deletes it: hide the row, and erase its content here and wherever else the database has it."""
        self.deleted_at = self.deleted_at or timezone.now()
        self.erase(using=using)
        return 1, {self._meta.label: 1}

    delete.alters_data = True  # type: ignore[attr-defined]

    def remove(self, *, by: User, reason: str = "") -> None:
        """As a moderator removes it: hide the row. Its content is kept for RESTORABLE, then erased."""
        with committed():
            self.deleted_at, self.moderator_id = self.deleted_at or timezone.now(), by.pk
            self.removed_by, self.removal_reason = by, reason
            self.save(update_fields={"deleted_at", "removed_by", "removal_reason"})
            emit(TextRemoved(entity_type=self._meta.model_name or "", entity_id=self.pk), delay=RESTORABLE)  # type: ignore[arg-type]

    def restore(self, *, by: User) -> None:
        """Show again what a moderator removed. Only for a row that is restorable, locked by the caller."""
        self.moderator_id, self._restoring = by.pk, True
        self.deleted_at, self.removed_by, self.removal_reason = None, None, ""
        try:
            self.save(update_fields={"deleted_at", "removed_by", "removal_reason"})
        finally:
            self._restoring = False

    def erase(self, *, using: str | None = None) -> None:
        """Erase the content of a deleted row: from itself, and at once from the log of events, dead letters, failed
        attempts, the search index and the admin's own log. Notices follow by the event."""
        with committed(using=using):
            self.erased_at = self.erased_at or timezone.now()
            self._blank()
            self.save(using=using, update_fields={"deleted_at", "erased_at", *self.written})
            self.erase_copies()

    def erase_copies(self) -> None:
        """Erase the content where it stands beside the row, in the caller's transaction."""
        redact(self.entity)
        names = LogEntry.objects.filter(
            content_type=ContentType.objects.get_for_model(type(self)), object_id=str(self.pk)
        )
        names.update(object_repr=self.entity)

    def keep_first_values(self, previous: Self) -> None:
        """Take over the values of `set_once` fields from the row in the database."""
        for name in self.set_once:
            first = getattr(previous, name)
            if first not in (None, ""):
                setattr(self, name, first)
        if previous.erased_at is not None:
            self._blank()

    def _blank(self) -> None:
        for name in self.written:
            setattr(self, name, "")
