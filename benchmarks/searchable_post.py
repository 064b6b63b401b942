"""Note: a post as an app of Django alone would make it searchable."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models


class Note(models.Model):
    """Beside the post, so that author and circle are had as ours has them."""

    post = models.OneToOneField("feeds.Post", models.CASCADE, primary_key=True)
    title = models.TextField()
    body = models.TextField()
    vector = SearchVectorField(null=True)

    class Meta:
        app_label = "searching"
        indexes = [GinIndex(fields=["vector"], name="searching_note_vector")]
