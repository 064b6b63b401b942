"""Comment, as input and output of the API."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from feeds.api.schemas.shape import Input, RowId, ruled, text
from feeds.api.schemas.votes import VoteType
from feeds.models import Comment

Content = Annotated[str, text(Comment.CONTENT_LENGTH, example="I *agree*.")]


class CommentIn(Input):
    """A comment on a post or, with `parent_id`, a reply to a comment; `content` is Markdown."""

    content: Content
    parent_id: Annotated[RowId, Field(json_schema_extra=ruled("parent"))] | None = None


class CommentPatch(Input):
    """A comment's new content."""

    content: Content


class CommentOut(BaseModel):
    """A comment. A deleted one, or one of an author hidden from you, has no content and no author."""

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
        """From a comment of feeds.lists.presentation."""
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
