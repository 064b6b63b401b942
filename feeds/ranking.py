"""Ranking: the formulas that order posts and comments, as pure functions of their votes."""

from math import log10, sqrt

#: Seconds since 1970 at 2005-12-08 07:46:43 UTC, Reddit's epoch. A constant, so ranks of old and new posts compare.
HOT_EPOCH = 1134028003
#: Seconds of age that weigh as much as a factor of ten in net votes (12.5 hours).
HOT_DECADE = 45000
#: `hot` is rounded to seven decimals.
HOT_SCALE = 1e7
#: z of Wilson's interval at a confidence of 80 %, Reddit's choice for comments.
CONFIDENCE_Z = 1.281551565545


def hot(upvotes: int, downvotes: int, published_at_epoch: float) -> float:
    """Reddit's hot: log10 of the net votes plus the age in units of HOT_DECADE. Higher is better.

    published_at_epoch: seconds since 1970. The rank changes with a vote only, never with the clock, so it can be stored
    and indexed. Source: `_hot` in reddit/r2/r2/lib/db/_sorts.pyx.
    """
    score = upvotes - downvotes
    order = log10(max(abs(score), 1))
    signed = order if score >= 0 else -order
    # PostgreSQL computes the same steps with the same result (`feeds.counts.ranks`).
    return round((signed + (published_at_epoch - HOT_EPOCH) / HOT_DECADE) * HOT_SCALE) / HOT_SCALE


def confidence(upvotes: int, downvotes: int) -> float:
    """The lower bound of the share of upvotes, from 0 to 1, by Wilson's score interval with CONFIDENCE_Z.

    Source: E. B. Wilson, 1927; `_confidence` in Reddit's _sorts.pyx.
    """
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
    """Votes to the power of their balance (smaller by larger side): many votes that nearly cancel out rank high.

    0 without votes on both sides. Source: `controversy` in Reddit's _sorts.pyx.
    """
    if upvotes <= 0 or downvotes <= 0:
        return 0.0
    return float((upvotes + downvotes) ** (min(upvotes, downvotes) / max(upvotes, downvotes)))
