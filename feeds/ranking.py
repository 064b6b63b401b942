"""Rank: the formulas by which posts and comments are ordered, as pure functions of their votes."""

from math import log10, sqrt

#: Reddit's epoch, 2005-12-08 07:46:43 UTC: being a constant, it keeps the ranks of old and new posts comparable.
HOT_EPOCH = 1134028003
#: Seconds by which a post must be younger to weigh as much as ten times the net votes (12.5 hours).
HOT_DECADE = 45000
HOT_SCALE = 1e7
#: The 80 % quantile of the normal distribution, Reddit's choice for ordering comments.
CONFIDENCE_Z = 1.281551565545


def hot(upvotes: int, downvotes: int, published_at_epoch: float) -> float:
    """Reddit's hot: changes with a vote only, never with the clock, so it can be stored and indexed."""
    score = upvotes - downvotes
    order = log10(max(abs(score), 1))
    signed = order if score >= 0 else -order
    # To seven decimals, by steps that PostgreSQL takes with the very same result (`feeds.counts.counting`).
    return round((signed + (published_at_epoch - HOT_EPOCH) / HOT_DECADE) * HOT_SCALE) / HOT_SCALE


def confidence(upvotes: int, downvotes: int) -> float:
    """The lower bound of Wilson's score interval, from 0 to 1: how good a comment is at least."""
    upvotes, downvotes = max(upvotes, 0), max(downvotes, 0)
    votes = upvotes + downvotes
    if votes == 0:
        return 0.0
    z = CONFIDENCE_Z
    share = upvotes / votes
    centre = share + z * z / (2 * votes)
    margin = z * sqrt(share * (1 - share) / votes + z * z / (4 * votes * votes))
    return min(max((centre - margin) / (1 + z * z / votes), 0.0), 1.0)


def controversy(upvotes: int, downvotes: int) -> float:
    """Many votes that nearly cancel out rank high; votes all of one kind are no controversy."""
    if upvotes <= 0 or downvotes <= 0:
        return 0.0
    return float((upvotes + downvotes) ** (min(upvotes, downvotes) / max(upvotes, downvotes)))
