"""SearchDocument: the words of a visible post, for the full-text index."""

from __future__ import annotations

from django.db import connections, models
from django.utils.translation import gettext_lazy as _

#: Pages of SQLite's index that are merged when a post is erased.
PAGES_PER_MERGE = 500


class SearchDocumentQuerySet(models.QuerySet["SearchDocument"]):
    """Search documents."""

    def erase(self, *post_ids: int) -> None:
        """Remove the words of these posts from the index for good.

        SQLite keeps the words of a removed document until its parts of the index are merged; so some are, each time.
        """
        self.filter(post__in=post_ids).delete()
        if connections[self.db].vendor == "sqlite":
            with connections[self.db].cursor() as cursor:
                cursor.execute(
                    "INSERT INTO feeds_searchtext (feeds_searchtext, rank) VALUES ('merge', %s)", [-PAGES_PER_MERGE]
                )


class SearchDocument(models.Model):
    """The words of a post, as `feeds.search.query.indexed` makes them.

    The database keeps its index over them up to date by itself: on PostgreSQL one over the different words, on SQLite
    the FTS5 table `feeds_searchwords`, filled by triggers. A migration makes both.

    title, body: what earlier versions of Airy indexed, with an index of its own; empty once this version has written
    the document. letters: the different characters that can be searched for alone.
    """

    post = models.OneToOneField(
        "feeds.Post", models.CASCADE, primary_key=True, related_name="document", verbose_name=_("post")
    )
    title = models.TextField(_("title"))
    body = models.TextField(_("body"))
    title_words = models.TextField(_("words of the title"), db_default="")
    body_words = models.TextField(_("words of the body"), db_default="")
    letters = models.TextField(_("letters"), db_default="")

    objects = SearchDocumentQuerySet.as_manager()

    class Meta:
        verbose_name = _("search document")
        verbose_name_plural = _("search documents")

    def __str__(self) -> str:
        return f"post/{self.post_id}"
