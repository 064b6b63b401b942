"""Votes: what the author of a post or comment is told of its upvotes, worked out anew from the votes themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.db.models import Count, Exists, F, OuterRef, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber

from feeds.models import Block, Comment, Mute, Post, Vote
from notifications.content import hold
from notifications.notices import Notice, Way

#: Names that a notice remembers.
NAMES = 3

Key = tuple[str, int]


def notices_of_votes(ringing: Iterable[Key], correcting: Iterable[Key]) -> Iterator[Notice]:
    """One notice per post or comment: with those that got an upvote it rings, of the others it is corrected."""
    ways = dict.fromkeys(correcting, Way.CORRECT) | dict.fromkeys(ringing, Way.RING)
    ids = {model: [entity_id for kind, entity_id in ways if kind == model] for model in ("post", "comment")}
    held = hold(post_ids=ids["post"], comment_ids=ids["comment"])
    for kind, found in (("post", held.posts), ("comment", held.comments)):
        upvotes = _upvotes(kind, ids[kind])
        for entity_id in ids[kind]:
            way, votes = ways[kind, entity_id], upvotes.get(entity_id, Upvotes(0, {}))
            if entity_id in found and (votes.total or way is Way.CORRECT):
                yield _notice(found[entity_id], votes, way)


class Upvotes(NamedTuple):
    """How many something has, and from whom the newest are."""

    total: int
    newest: dict[int, str]


def _notice(writing: Post | Comment, votes: Upvotes, way: Way) -> Notice:
    post = writing if isinstance(writing, Post) else writing.post
    about: dict[str, Any] = {"post_id": post.pk, "title": post.title, "count": votes.total}
    about |= {"actors": list(votes.newest), "names": list(votes.newest.values())}
    if isinstance(writing, Comment):
        about["comment_id"] = writing.pk
    key = f"vote/{writing._meta.model_name}/{writing.pk}"
    return Notice(user_id=writing.author_id, kind="vote", key=key, data=about, way=way)


def _upvotes(kind: str, entity_ids: list[int]) -> dict[int, Upvotes]:
    """The upvotes of each that has any; without the author's own and those of people silenced."""
    votes = _audible(kind, entity_ids).annotate(
        count=Window(Count("pk"), partition_by="entity_id"),
        place=Window(RowNumber(), partition_by="entity_id", order_by=[F("updated_at").desc(), F("pk").desc()]),
    )
    newest = votes.filter(place__lte=NAMES).order_by("entity_id", "place").select_related("user")
    found: dict[int, Upvotes] = {}
    for vote in newest:
        found.setdefault(vote.entity_id, Upvotes(vote.count, {})).newest[vote.user_id] = vote.user.username
    return found


def _audible(kind: str, entity_ids: list[int]) -> QuerySet[Vote]:
    model = Post if kind == "post" else Comment
    author = Subquery(model.objects.filter(pk=OuterRef("entity_id")).values("author_id")[:1])
    upvotes = Vote.objects.filter(entity_type=kind, entity_id__in=entity_ids, vote_type="up").annotate(author=author)
    return upvotes.exclude(user_id=F("author")).exclude(
        Exists(Block.objects.filter(user=OuterRef("author"), target=OuterRef("user_id")))
        | Exists(Block.objects.filter(user=OuterRef("user_id"), target=OuterRef("author")))
        | Exists(Mute.objects.filter(user=OuterRef("author"), target=OuterRef("user_id")))
    )
