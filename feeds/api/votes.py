"""Votes: vote, remove a vote. Both answer with the vote and the counts after it."""

from ninja import Router

from feeds import actions
from feeds.api.auth import Request
from feeds.api.schemas.shape import RowId
from feeds.api.schemas.votes import VoteIn, VoteOut, VoteType
from feeds.counts.counts import Counts
from feeds.lists.presentation import counts_for
from feeds.models import Entity, User

router = Router(tags=["votes"])


@router.put("/posts/{post_id}/vote", response=VoteOut)
def vote_on_post(request: Request, post_id: RowId, vote: VoteIn) -> VoteOut:
    """Vote on a post."""
    return _vote(request.auth, Entity.POST, post_id, vote.vote_type)


@router.delete("/posts/{post_id}/vote", response=VoteOut)
def retract_vote_on_post(request: Request, post_id: RowId) -> VoteOut:
    """Remove your vote on a post."""
    return _retract(request.auth, Entity.POST, post_id)


@router.put("/comments/{comment_id}/vote", response=VoteOut)
def vote_on_comment(request: Request, comment_id: RowId, vote: VoteIn) -> VoteOut:
    """Vote on a comment."""
    return _vote(request.auth, Entity.COMMENT, comment_id, vote.vote_type)


@router.delete("/comments/{comment_id}/vote", response=VoteOut)
def retract_vote_on_comment(request: Request, comment_id: RowId) -> VoteOut:
    """Remove your vote on a comment."""
    return _retract(request.auth, Entity.COMMENT, comment_id)


def _vote(user: User, entity_type: Entity, entity_id: int, vote_type: VoteType) -> VoteOut:
    actions.vote(user, entity_type=entity_type, entity_id=entity_id, vote_type=vote_type)
    return VoteOut.of(vote_type, _numbers(user, entity_type, entity_id))


def _retract(user: User, entity_type: Entity, entity_id: int) -> VoteOut:
    actions.retract_vote(user, entity_type=entity_type, entity_id=entity_id)
    return VoteOut.of(None, _numbers(user, entity_type, entity_id))


def _numbers(user: User, entity_type: Entity, entity_id: int) -> Counts:
    return counts_for(entity_type, [entity_id], viewer=user).get(entity_id, Counts())
