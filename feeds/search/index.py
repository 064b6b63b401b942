"""Index: bring posts up to date in the search index."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from feeds.models import Post, SearchDocument
from feeds.search.query import indexed, letters


@transaction.atomic
def index_posts(ids: Iterable[int]) -> None:
    """Index these posts as they are now, and remove those that are not visible.

    The posts are locked meanwhile: of two transactions that index the same post, the later one writes the newer text.
    """
    wanted = sorted(set(ids))
    posts = (
        Post.objects.visible().with_text("words").filter(pk__in=wanted).order_by("pk").select_for_update(no_key=True)
    )
    documents = [_document(post, post.words) for post in posts]
    SearchDocument.objects.bulk_create(
        documents,
        update_conflicts=True,
        unique_fields=["post"],
        update_fields=["title", "body", "title_words", "body_words", "letters"],
    )
    remove_posts(set(wanted) - {document.post_id for document in documents})


def remove_posts(ids: Iterable[int]) -> None:
    """Remove these posts from the index."""
    SearchDocument.objects.filter(post__in=set(ids)).delete()


def _document(post: Post, words: str) -> SearchDocument:
    title_words, body_words = indexed(post.title), indexed(words)
    return SearchDocument(
        post_id=post.pk,
        title="",
        body="",
        title_words=title_words,
        body_words=body_words,
        letters=letters(title_words, body_words),
    )
