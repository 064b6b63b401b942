"""SearchablePost: a copy of a post as a project with Django alone would make it searchable."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models


class SearchablePost(models.Model):
    """Related to the post, so that author and circle are fetched in the same way as in Airy."""

    post = models.OneToOneField("feeds.Post", models.CASCADE, primary_key=True)
    title = models.TextField()
    body = models.TextField()
    vector = SearchVectorField(null=True)

    class Meta:
        app_label = "benchmark_search"
        indexes = [GinIndex(fields=["vector"], name="searchable_post_vector")]
