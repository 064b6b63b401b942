"""SearchDocument: the words of a visible post, for the full-text index."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class SearchDocument(models.Model):
    """The words of a post, segmented so that Chinese and Japanese words are found (`feeds.text.cjk`).

    The database keeps its index over them up to date by itself: on PostgreSQL the generated column `tsv`, on SQLite the
    FTS5 table `feeds_searchtext`, filled by triggers. A migration makes both.
    """

    post = models.OneToOneField(
        "feeds.Post", models.CASCADE, primary_key=True, related_name="document", verbose_name=_("post")
    )
    title = models.TextField(_("title"))
    body = models.TextField(_("body"))

    class Meta:
        verbose_name = _("search document")
        verbose_name_plural = _("search documents")

    def __str__(self) -> str:
        return f"post/{self.post_id}"
