"""Vote, as input and output of the API."""

from typing import Literal, Self

from pydantic import BaseModel

from feeds.api.schemas.shape import Input
from feeds.counts.counts import Counts

VoteType = Literal["up", "down"]


class VoteIn(Input):
    """A vote."""

    vote_type: VoteType


class VoteOut(BaseModel):
    """Your vote, and the counts with it."""

    my_vote: VoteType | None
    upvotes: int
    downvotes: int
    score: int

    @classmethod
    def of(cls, my_vote: VoteType | None, numbers: Counts) -> Self:
        return cls(my_vote=my_vote, upvotes=numbers.upvotes, downvotes=numbers.downvotes, score=numbers.score)
