"""Ranks: score, hot and controversy of a post or comment, which follow from its votes, in Python and in SQL.

PostgreSQL computes them in the statement that counts; SQLite takes them from Python. A test compares the two.
"""

from __future__ import annotations

from typing import NamedTuple, TypedDict

from feeds.counts.targets import CountTarget
from feeds.models import Post
from feeds.ranking import HOT_DECADE, HOT_EPOCH, HOT_SCALE, controversy, hot

POSTS = Post._meta.db_table


class VotesAndRanks(TypedDict):
    """The columns that EntityCounts and EarlierCounts have in common."""

    upvotes: int
    downvotes: int
    score: int
    hot: float
    controversy: float


class RankSql(NamedTuple):
    """An SQL expression for each rank."""

    score: str
    hot: str
    controversy: str


def votes_and_ranks(upvotes: int, downvotes: int, target: CountTarget) -> VotesAndRanks:
    """The votes and the ranks that follow from them. What is not published has a hot of 0."""
    published_at = target.published_at
    return {
        "upvotes": upvotes,
        "downvotes": downvotes,
        "score": upvotes - downvotes,
        "hot": hot(upvotes, downvotes, published_at.timestamp()) if published_at else 0.0,
        "controversy": controversy(upvotes, downvotes),
    }


def rank_sql(*, entity_type: str, entity_id: str, ups: str, downs: str) -> RankSql:
    """The same ranks for PostgreSQL, from SQL expressions for the row's key and votes."""
    score = f"({ups} - {downs})"
    return RankSql(
        score=score,
        hot=f"""coalesce(round((
    sign({score}) * log(greatest(abs({score}), 1)::float8) + (
        SELECT (extract(epoch FROM post.published_at)::float8 - {HOT_EPOCH}) / {HOT_DECADE} FROM {POSTS} AS post
        WHERE {entity_type} = 'post' AND post.id = {entity_id}
    )) * {HOT_SCALE}::float8) / {HOT_SCALE}::float8, 0)""",
        controversy=f"""CASE WHEN {ups} > 0 AND {downs} > 0 THEN power(
    ({ups} + {downs})::float8, least({ups}, {downs})::float8 / greatest({ups}, {downs})
) ELSE 0 END""",
    )
