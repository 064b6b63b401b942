"""FeedEntry: a post in a user's feed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class FeedEntry(models.Model):
    """A post in a feed. Fan-out inserts thousands, so there is only one index, in the order in which feeds are read.

    For the same reason there is no foreign-key constraint; reading leaves out posts that are gone.
    """

    pk = models.CompositePrimaryKey("user", "published_at", "post")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
        verbose_name=_("reader"),
    )
    published_at = models.DateTimeField(_("published"))
    post = models.ForeignKey(
        "feeds.Post", models.CASCADE, related_name="+", db_index=False, db_constraint=False, verbose_name=_("post")
    )
    author_id = models.BigIntegerField(_("author"))

    class Meta:
        verbose_name = _("feed entry")
        verbose_name_plural = _("feed entries")

    def __str__(self) -> str:
        return f"{self.user_id}: {self.post_id}"
