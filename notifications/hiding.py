"""Hiding: a block or a mute takes a person out of the notices of another, with everything from before.

Runs in the transaction that writes the block or the mute, and in a worker while more remains. What was withdrawn does
not come back when the block or the mute ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.signals import post_save
from django.dispatch import receiver

from events.bus import emit
from feeds.models import Block, Comment, Mute, Post, Vote
from notifications.events import HidingContinued
from notifications.kinds import VOTE
from notifications.notices.notice import Notice
from notifications.notices.notices import hide_people
from notifications.notices.votes import EntityKey, upvotes
from notifications.push.hints import recheck_watched

#: Notices withdrawn, and notices counted anew, for one user in one transaction.
HIDDEN_PER_TRANSACTION = 100


@receiver(post_save, sender=Block)
def hide_each_other(sender: Any, instance: Block, created: bool, raw: bool, **kwargs: Any) -> None:
    """Neither of the two is told of the other any more."""
    if created and not raw:
        hide([(instance.user_id, instance.target_id), (instance.target_id, instance.user_id)])


@receiver(post_save, sender=Mute)
def hide_muted(sender: Any, instance: Mute, created: bool, raw: bool, **kwargs: Any) -> None:
    """Who mutes is not told of the other any more."""
    if created and not raw:
        hide([(instance.user_id, instance.target_id)])


def hide(pairs: Sequence[tuple[int, int]], *, after_vote_id: int = 0) -> None:
    """For each user and person: withdraw the user's notices of what the person did and of what happened below the
    person's posts, and take the person's upvotes out of the notices that gather several. Call it in a transaction.

    after_vote_id: only upvotes with a higher id; earlier ones were taken out before.
    """
    recounted: list[Notice] = []
    last_votes: dict[tuple[int, int], int] = {}
    for user_id, person_id in pairs:
        votes = _upvotes(person_id, of=user_id, after=after_vote_id)
        if len(votes) > HIDDEN_PER_TRANSACTION:
            last_votes[user_id, person_id] = votes[HIDDEN_PER_TRANSACTION - 1][0]
        entities: list[EntityKey] = [(kind, entity_id) for _, kind, entity_id in votes[:HIDDEN_PER_TRANSACTION]]
        recounted += [notice for found in upvotes((), entities) for notice in VOTE.notices(found, mode=found.mode)]
    more = hide_people(pairs, recounted=recounted, limit=HIDDEN_PER_TRANSACTION)
    for user_id, person_id in sorted(more | last_votes.keys()):
        last = last_votes.get((user_id, person_id), 2**63 - 1)
        emit(HidingContinued(user_id=user_id, target_id=person_id, after_vote_id=last))
    transaction.on_commit(partial(recheck_watched, {user_id for user_id, _ in pairs}), robust=True)


def _upvotes(person_id: int, *, of: int, after: int) -> list[tuple[int, str, int]]:
    """Id, entity_type and entity_id of a person's first upvotes on the texts of a user, one more than are taken."""
    on_posts = Q(entity_type="post", entity_id__in=Post.objects.of(of).values("pk"))
    on_comments = Q(entity_type="comment", entity_id__in=Comment.objects.of(of).values("pk"))
    votes = Vote.objects.filter(on_posts | on_comments, user_id=person_id, vote_type="up", pk__gt=after)
    return list(votes.order_by("pk").values_list("pk", "entity_type", "entity_id")[: HIDDEN_PER_TRANSACTION + 1])
