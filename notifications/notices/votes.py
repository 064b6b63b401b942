"""Votes: the upvotes of posts and comments as their authors' notices count them, read anew from the votes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from feeds.lists.visibility import hidden_authors
from feeds.models import Comment, Post, User, Vote
from notifications.notices.locking import lock_visible
from notifications.notices.notice import Mode

#: Voters named in a notice, the newest; of the others it has the number.
NAMED_VOTERS = 3

#: An entity_type of a vote, and its entity_id.
EntityKey = tuple[str, int]


class Upvotes(NamedTuple):
    """The upvotes of one post or comment without its author's own and those of people that the author silenced.

    total: how many. actors, names: ids and usernames of the newest voters, the newest first. mode: of the notice.
    """

    writing: Post | Comment
    total: int
    actors: list[int]
    names: list[str]
    mode: Mode


def upvotes(voted: Iterable[EntityKey], unvoted: Iterable[EntityKey]) -> Iterator[Upvotes]:
    """For each visible post or comment its upvotes: those of `voted` notify, those of `unvoted` update a notice.

    Locks them. Something voted without an upvote that counts is left out.
    """
    modes = dict.fromkeys(unvoted, Mode.UPDATE_ONLY) | dict.fromkeys(voted, Mode.NOTIFY)
    ids = {
        model: [entity_id for entity_type, entity_id in modes if entity_type == model] for model in ("post", "comment")
    }
    locked = lock_visible(post_ids=ids["post"], comment_ids=ids["comment"])
    writings: dict[str, Mapping[int, Post | Comment]] = {"post": locked.posts, "comment": locked.comments}
    found = [
        (writing, *_count(entity_type, writing), mode)
        for (entity_type, entity_id), mode in modes.items()
        if (writing := writings[entity_type].get(entity_id)) is not None
    ]
    # A query of its own: in a join, the database would look up the voter of every vote before it takes the newest.
    voters = User.objects.filter(pk__in={voter for _, _, newest, _ in found for voter in newest})
    names = dict(voters.values_list("pk", "username"))
    for writing, total, newest, mode in found:
        if total or mode is Mode.UPDATE_ONLY:
            yield Upvotes(writing, total, newest, [names[voter] for voter in newest], mode)


def _count(entity_type: str, writing: Post | Comment) -> tuple[int, list[int]]:
    """The number of upvotes, and the ids of the newest voters.

    Cheap, as a locked post waits for it: silenced people are excluded by one list, not per vote, and the sort is cut
    off after NAMED_VOTERS.
    """
    votes = Vote.objects.filter(entity_type=entity_type, entity_id=writing.pk, vote_type="up")
    votes = votes.exclude(user_id=writing.author_id)
    for people in hidden_authors(writing.author):
        votes = votes.exclude(user_id__in=people)
    newest = list(votes.order_by("-updated_at", "-pk").values_list("user_id", flat=True)[:NAMED_VOTERS])
    # The maximum: a vote may be deleted between the two queries.
    return len(newest) if len(newest) < NAMED_VOTERS else max(votes.count(), NAMED_VOTERS), newest
