"""Targets: the imported questions and answers that comments and votes of a dump belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from feeds.models import Comment, Entity, ImportedRow, Post


class ImportedTarget(NamedTuple):
    """A question or an answer that was imported and is visible. `author_id`, `post_id`, `entity_id`: our ids."""

    entity_type: str
    entity_id: int
    post_id: int
    author_id: int


def find_imported_targets(source: str, external_ids: Iterable[str]) -> Mapping[str, ImportedTarget]:
    """The targets by their ids in the source."""
    wanted = set(external_ids)
    posts = ImportedRow.objects.objects_of(source, "post", wanted)
    answers = ImportedRow.objects.objects_of(source, "answer", wanted)
    authors = dict(Post.objects.visible().filter(pk__in=posts.values()).values_list("pk", "author_id"))
    comments = {
        pk: (post_id, author_id)
        for pk, post_id, author_id in Comment.objects.visible()
        .filter(pk__in=answers.values())
        .values_list("pk", "post_id", "author_id")
    }
    found = {key: ImportedTarget(Entity.POST.value, pk, pk, authors[pk]) for key, pk in posts.items() if pk in authors}
    found |= {
        key: ImportedTarget(Entity.COMMENT.value, pk, *comments[pk]) for key, pk in answers.items() if pk in comments
    }
    return found
