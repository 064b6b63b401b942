"""Counts: upvotes, downvotes and comments of one post or comment, as totals or as a change of them."""

from __future__ import annotations

from typing import NamedTuple


class Counts(NamedTuple):
    """Three numbers. As a change of counts they may be negative."""

    upvotes: int = 0
    downvotes: int = 0
    comments: int = 0

    @property
    def score(self) -> int:
        return self.upvotes - self.downvotes

    @property
    def has_votes(self) -> bool:
        """Whether there is a vote among them, or a change of votes."""
        return self.upvotes != 0 or self.downvotes != 0

    def plus(self, other: Counts) -> Counts:
        """The sum, number by number."""
        return Counts(self.upvotes + other.upvotes, self.downvotes + other.downvotes, self.comments + other.comments)

    def at_least_zero(self) -> Counts:
        """As they are shown. A withdrawal may be counted before its vote; for that moment a sum is negative."""
        return Counts(*(max(number, 0) for number in self))

    def negated(self) -> Counts:
        """The change that undoes this one."""
        return Counts(-self.upvotes, -self.downvotes, -self.comments)
