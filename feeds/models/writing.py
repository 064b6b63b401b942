"""Writing: what people write, a post or a comment: a Markdown text, and what was made of it when it was written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar, Self, TypeVar

from django.db import models, transaction
from django.utils.safestring import SafeString, mark_safe

from feeds.models.row_by_row import RowByRow
from feeds.models.soft_delete import SoftDeleted
from feeds.models.texts import StoredText
from feeds.text.parsed import ParsedText, digest_of, parsed

Row = TypeVar("Row", bound="Writing")


class WritingQuerySet(RowByRow[Row]):
    """Posts or comments. Rows that are written in bulk have their texts stored, too; `save()` does it by a signal."""

    def with_text(self, *parts: str) -> Self:
        """With these parts of what was made of the texts: html, words, opening, mentions (one query more)."""
        stored = self.model.stored_text.objects.only("digest", *parts)
        return self.prefetch_related(models.Prefetch("text", stored))

    def bulk_create(self, objs: Iterable[Row], *args: Any, **kwargs: Any) -> list[Row]:
        with transaction.atomic(using=self.db):
            rows = super().bulk_create(objs, *args, **kwargs)
            self._store(rows)
        return rows

    def bulk_update(self, objs: Iterable[Row], fields: Iterable[str], *args: Any, **kwargs: Any) -> int:
        rows, names = list(objs), list(fields)
        with transaction.atomic(using=self.db):
            updated = super().bulk_update(rows, names, *args, **kwargs)
            if self.model.text_field in names:
                self._store(rows)
        return updated

    def update(self, **values: Any) -> int:
        """As Django's. What was made of the texts that it overwrites goes; readers parse the new ones."""
        if self.model.text_field not in values:
            return super().update(**values)
        with transaction.atomic(using=self.db):
            ids = list(self.values_list("pk", flat=True))
            updated = super().update(**values)
            self.model.stored_text.objects.using(self.db).filter(pk__in=ids).delete()
        return updated

    update.alters_data = True  # type: ignore[attr-defined]

    def _store(self, rows: Iterable[Row]) -> None:
        sources = {row.pk: row.source for row in rows if row.pk is not None}
        self.model.stored_text.objects.using(self.db).store(sources)


class Writing(SoftDeleted):
    """A row with a Markdown text. `html`, `words`, `opening` and `mentions` were made of it when it was written.

    If nothing was stored, or the text has changed since, they are made now. A list asks for them by `with_text`.
    """

    #: The name of the field with the text.
    text_field: ClassVar[str]
    #: The table of what is made of it.
    stored_text: ClassVar[type[StoredText]]

    class Meta:
        abstract = True

    @property
    def source(self) -> str:
        """The text as it was written."""
        text: str = getattr(self, self.text_field)
        return text

    def erase_copies(self) -> None:
        super().erase_copies()
        self.stored_text.objects.using(self._state.db).filter(pk=self.pk).delete()

    @property
    def html(self) -> SafeString:
        """Safe HTML."""
        return mark_safe(self._made.html)

    @property
    def words(self) -> str:
        """Without syntax and link targets."""
        return self._made.words

    @property
    def opening(self) -> str:
        """The first words, for a list."""
        return self._made.opening

    @property
    def mentions(self) -> Sequence[str]:
        """The names that the text mentions."""
        return self._made.mentions

    @property
    def _made(self) -> StoredText | ParsedText:
        known = self._state.fields_cache
        if "text" not in known:
            rows = self.stored_text.objects.using(self._state.db).defer("words")
            known["text"] = rows.filter(pk=self.pk).first()
        stored = known["text"]
        return stored if stored is not None and stored.digest == digest_of(self.source) else parsed(self.source)


def store_text(
    sender: type[Writing], instance: Writing, created: bool, update_fields: Collection[str] | None, using: str, **_: Any
) -> None:
    """Store what is made of the text of a row that was saved, also by a fixture, unless the text is as it was."""
    before = None if created else instance.previous
    written = update_fields is None or sender.text_field in update_fields
    if written and (before is None or before.source != instance.source):
        sender.stored_text.objects.using(using).store({instance.pk: instance.source})
        instance._state.fields_cache.pop("text", None)
