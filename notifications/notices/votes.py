"""Votes: what the author of a post or comment is told of its upvotes, worked out anew from the votes themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from feeds.lists.visibility import hidden_authors
from feeds.models import Comment, Post, User, Vote
from notifications.notices.locking import hold
from notifications.notices.notices import Notice, Way

#: Names that a notice remembers.
NAMES = 3

Key = tuple[str, int]


def notices_of_votes(ringing: Iterable[Key], correcting: Iterable[Key]) -> Iterator[Notice]:
    """One notice per post or comment: with those that got an upvote it rings, of the others it is corrected."""
    ways = dict.fromkeys(correcting, Way.CORRECT) | dict.fromkeys(ringing, Way.RING)
    ids = {model: [entity_id for kind, entity_id in ways if kind == model] for model in ("post", "comment")}
    held = hold(post_ids=ids["post"], comment_ids=ids["comment"])
    writings: dict[str, Mapping[int, Post | Comment]] = {"post": held.posts, "comment": held.comments}
    found = [
        (writing, _upvotes(kind, writing), way)
        for (kind, entity_id), way in ways.items()
        if (writing := writings[kind].get(entity_id)) is not None
    ]
    # Not by a join: the database would look up who cast each of the votes before it takes the newest.
    voters = User.objects.filter(pk__in={voter for _, votes, _ in found for voter in votes.newest})
    names = dict(voters.values_list("pk", "username"))
    for writing, votes, way in found:
        if votes.total or way is Way.CORRECT:
            yield _notice(writing, votes, names, way)


class Upvotes(NamedTuple):
    """How many something has, and from whom the newest are."""

    total: int
    newest: list[int]


def _notice(writing: Post | Comment, votes: Upvotes, names: Mapping[int, str], way: Way) -> Notice:
    post = writing if isinstance(writing, Post) else writing.post
    about: dict[str, Any] = {"post_id": post.pk, "title": post.title, "count": votes.total}
    about |= {"actors": votes.newest, "names": [names[voter] for voter in votes.newest]}
    if isinstance(writing, Comment):
        about["comment_id"] = writing.pk
    key = f"vote/{writing._meta.model_name}/{writing.pk}"
    return Notice(user_id=writing.author_id, kind="vote", key=key, data=about, way=way)


def _upvotes(kind: str, writing: Post | Comment) -> Upvotes:
    """How many it has, without the author's own and those of people silenced.

    What is left out is asked once and not per vote, and of many votes three are sorted: a post is held meanwhile.
    """
    votes = Vote.objects.filter(entity_type=kind, entity_id=writing.pk, vote_type="up")
    votes = votes.exclude(user_id=writing.author_id)
    for people in hidden_authors(writing.author):
        votes = votes.exclude(user_id__in=people)
    newest = list(votes.order_by("-updated_at", "-pk").values_list("user_id", flat=True)[:NAMES])
    # One may be taken back between the two questions.
    return Upvotes(len(newest) if len(newest) < NAMES else max(votes.count(), NAMES), newest)
