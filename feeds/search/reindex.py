"""Reindex: bring all posts up to date in the search index."""

from __future__ import annotations

from feeds.batch.chunks import each_chunk
from feeds.batch.progress import Advance
from feeds.models import Post, SearchDocument
from feeds.search.index import index_posts


def reindex(*, jobs: int | None = None, after: int = 0, advance: Advance | None = None) -> int:
    """Index every visible post and remove the others, while the site runs. Returns the number of indexed posts.

    jobs, after, advance and errors: as for `each_chunk`; the keys are post ids.
    """
    each_chunk(Post.objects.all(), index_posts, jobs=jobs, after=after, advance=advance)
    return SearchDocument.objects.count()
