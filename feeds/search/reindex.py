"""Reindex: bring the search index up to date with all posts."""

from __future__ import annotations

from feeds.batch.chunks import each_chunk
from feeds.batch.progress import Advance
from feeds.models import Post, SearchDocument
from feeds.search import search


def reindex(*, jobs: int | None = None, after: int = 0, advance: Advance | None = None) -> int:
    """Index every visible post anew and drop the others, while the site runs; returns how many are indexed.

    jobs, after, advance and what is raised: as for `each_chunk`, the keys being those of the posts.
    """
    each_chunk(Post.objects.all(), search.index_posts, jobs=jobs, after=after, advance=advance)
    return SearchDocument.objects.count()
