"""Vote, as the API takes and gives it."""

from typing import Literal, Self

from pydantic import BaseModel

from feeds.api.schemas.shape import Input
from feeds.lists.presentation import Totals

VoteType = Literal["up", "down"]


class VoteIn(Input):
    """How to vote."""

    vote_type: VoteType


class VoteOut(BaseModel):
    """One's vote, and the numbers with it."""

    my_vote: VoteType | None
    upvotes: int
    downvotes: int
    score: int

    @classmethod
    def of(cls, my_vote: VoteType | None, numbers: Totals) -> Self:
        return cls(my_vote=my_vote, upvotes=numbers.upvotes, downvotes=numbers.downvotes, score=numbers.score)
