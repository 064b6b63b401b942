"""Targets: what comments and votes of a dump are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from feeds.models import Comment, Entity, ImportedRow, Post


class Target(NamedTuple):
    """A question or an answer that was imported and is visible."""

    entity_type: str
    entity_id: int
    post_id: int
    author_id: int


def targets(source: str, external_ids: Iterable[str]) -> Mapping[str, Target]:
    """The targets by the ids that the source has for them."""
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
    found = {key: Target(Entity.POST.value, pk, pk, authors[pk]) for key, pk in posts.items() if pk in authors}
    found |= {key: Target(Entity.COMMENT.value, pk, *comments[pk]) for key, pk in answers.items() if pk in comments}
    return found
