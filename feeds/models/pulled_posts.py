"""PulledPost: a post with too large an audience to be put into every feed; reading a feed merges it in."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class PulledPost(models.Model):
    """One row instead of a FeedEntry per reader: decided at fan-out, and a post that is pulled stays so.

    So nobody counts followers when a feed is read, and an author who crosses the threshold leaves no gap. Nor a double:
    an entry that a feed has from before stands in the same place and is read as one with it.
    """

    post = models.OneToOneField(
        "feeds.Post", models.CASCADE, primary_key=True, related_name="+", verbose_name=_("post")
    )
    author_id = models.BigIntegerField(_("author"))
    circle_id = models.BigIntegerField(_("circle"), null=True)
    published_at = models.DateTimeField(_("published"))

    class Meta:
        verbose_name = _("pulled post")
        verbose_name_plural = _("pulled posts")
        indexes = [
            models.Index(models.F("published_at").desc(), models.F("post").desc(), name="feeds_pulled_new"),
            models.Index(
                "author_id", models.F("published_at").desc(), models.F("post").desc(), name="feeds_pulled_author"
            ),
            models.Index(
                "circle_id",
                models.F("published_at").desc(),
                models.F("post").desc(),
                condition=models.Q(circle_id__isnull=False),
                name="feeds_pulled_circle",
            ),
        ]

    def __str__(self) -> str:
        return f"post/{self.post_id}"
