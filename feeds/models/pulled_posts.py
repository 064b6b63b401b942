"""PulledPost: a post with too many readers for feed entries; it is merged in when a feed is read (fan-out on read)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class PulledPost(models.Model):
    """One row instead of a FeedEntry per reader. Fan-out decides it once for a post, and the row stays.

    So reading a feed counts no followers, and the posts of an author whose followers cross the threshold have no gap. A
    feed entry that exists as well has the same place in the feed; the post is shown once.
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
