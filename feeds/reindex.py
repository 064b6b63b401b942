"""Reindex: bring the search index up to date with all posts."""

from __future__ import annotations

from feeds import search
from feeds.chunks import Advance, each_chunk
from feeds.models import Post, SearchDocument


def reindex(*, advance: Advance | None = None) -> int:
    """Index every visible post anew and drop the others, while the site runs; returns how many are indexed."""
    each_chunk(Post.objects.all(), search.index_posts, advance=advance)
    return SearchDocument.objects.count()
