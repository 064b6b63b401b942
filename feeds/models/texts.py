"""Text: what was made of the text of a post or a comment when it was written, so that no reader parses it again.

All that is kept beside a text stands here, in one row. A text that is saved empty leaves an empty row; a row that is
deleted is missed by nobody. (The search index is a copy of its own: `feeds.search.index`.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from feeds.text.markdown import VERSION
from feeds.text.parsed import ParsedText, digest_of, parsed

Text = TypeVar("Text", bound="StoredText")

#: Rows of a statement: those of the longest texts take half a megabyte each.
ROWS_PER_STATEMENT = 50


class StoredTextQuerySet(models.QuerySet[Text]):
    """What was made of texts."""

    def store(self, sources: Mapping[int, str]) -> None:
        """Parse these texts, by the id of their post or comment, and keep what is made of them."""
        rows = [
            self.model(pk=id, digest=digest_of(source), version=VERSION, **parsed(source)._asdict())
            for id, source in sorted(sources.items())
        ]
        self.bulk_create(
            rows,
            batch_size=ROWS_PER_STATEMENT,
            update_conflicts=True,
            unique_fields=["pk"],
            update_fields=["digest", "version", *ParsedText._fields],
        )


class StoredText(models.Model):
    """What was made of one text (`feeds.text.parsed.ParsedText`).

    digest: of the text that it was made of. If the text has another one, it was changed by code that does not know this
    table, or in SQL; readers then parse it. version: of the parser. Readers take what an older parser made, until
    `manage.py rerender` has made it anew.
    """

    digest = models.CharField(_("digest"), max_length=32)
    version = models.PositiveSmallIntegerField(_("version"))
    html = models.TextField(_("HTML"))
    words = models.TextField(_("words"))
    opening = models.TextField(_("opening"))
    mentions = models.JSONField(_("mentions"), default=list)

    objects = StoredTextQuerySet.as_manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.model_name}/{self.pk}"


class PostText(StoredText):
    """What was made of the body of a post."""

    post = models.OneToOneField(
        "feeds.Post", models.CASCADE, primary_key=True, related_name="text", verbose_name=_("post")
    )

    class Meta:
        verbose_name = _("text of a post")
        verbose_name_plural = _("texts of posts")


class CommentText(StoredText):
    """What was made of the content of a comment."""

    comment = models.OneToOneField(
        "feeds.Comment", models.CASCADE, primary_key=True, related_name="text", verbose_name=_("comment")
    )

    class Meta:
        verbose_name = _("text of a comment")
        verbose_name_plural = _("texts of comments")
