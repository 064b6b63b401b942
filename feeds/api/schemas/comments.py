"""Comment, as the API takes and gives it."""

from __future__ import annotations

import datetime as dt
from typing import Any, Self

from pydantic import BaseModel

from feeds.api.schemas.shape import Input
from feeds.api.schemas.votes import VoteType


class CommentIn(Input):
    """An answer to a post or, with `parent_id`, to a comment of it; `content` is Markdown."""

    content: str
    parent_id: int | None = None


class CommentPatch(Input):
    """A comment's new content."""

    content: str


class CommentOut(BaseModel):
    """A comment as the viewer sees it; of one that is deleted, or hidden from the viewer, only the place is shown."""

    id: int
    post_id: int
    parent_id: int | None
    content: str
    author: str | None
    upvotes: int
    downvotes: int
    score: int
    my_vote: VoteType | None
    created_at: dt.datetime
    updated_at: dt.datetime
    deleted: bool

    @classmethod
    def of(cls, comment: Any) -> Self:
        """A presented comment (feeds.lists.presentation)."""
        shown = getattr(comment, "shown", comment.is_visible)
        return cls(
            id=comment.pk,
            post_id=comment.post_id,
            parent_id=comment.parent_id,
            content=comment.content if shown else "",
            author=comment.author.username if shown else None,
            upvotes=comment.upvotes,
            downvotes=comment.downvotes,
            score=comment.score,
            my_vote=comment.my_vote,
            created_at=comment.created_at,
            updated_at=comment.updated_at,
            deleted=not comment.is_visible,
        )
