"""SearchDocument: a visible post as the search sees it."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.utils.translation import gettext_lazy as _


class SearchDocument(models.Model):
    """What is searched: `tsv` on PostgreSQL; SQLite leaves it empty and has the FTS5 table `feeds_searchtext` beside."""

    post = models.OneToOneField(
        "feeds.Post", models.CASCADE, primary_key=True, related_name="document", verbose_name=_("post")
    )
    author_id = models.BigIntegerField(_("author"))
    circle_id = models.BigIntegerField(_("circle"), null=True)
    published_at = models.DateTimeField(_("published"))
    tsv = SearchVectorField(null=True, editable=False)

    class Meta:
        verbose_name = _("search document")
        verbose_name_plural = _("search documents")
        indexes = [GinIndex(fields=["tsv"], name="feeds_search_words")]

    def __str__(self) -> str:
        return f"post/{self.post_id}"
