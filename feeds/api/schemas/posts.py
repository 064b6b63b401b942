"""Post, as input and output of the API."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from feeds.api.schemas.shape import Input, ruled, text
from feeds.api.schemas.votes import VoteType
from feeds.models import Circle, Post

Status = Literal["draft", "published"]
Title = Annotated[str, text(Post.TITLE_LENGTH, example="Hello")]
Body = Annotated[str, text(Post.BODY_LENGTH, blank=True, example="A **post** in Markdown.")]
Slug = Annotated[str, Field(max_length=Circle.SLUG_LENGTH, json_schema_extra=ruled("another's circle"))]


class PostIn(Input):
    """A new post; `body` is Markdown, `circle` a slug."""

    title: Title
    body: Body = ""
    circle: Slug | None = None
    status: Status = "published"


class PostPatch(Input):
    """The fields to change; a field that is left out stays."""

    title: Title = ""
    body: Body = ""
    circle: Slug | None = None
    status: Annotated[Status, Field(json_schema_extra=ruled("published stays published"))] = "published"


class PostOut(BaseModel):
    """A post."""

    id: int
    title: str
    body: str
    author: str
    circle: str | None
    status: Status
    url: str
    upvotes: int
    downvotes: int
    score: int
    hot: float
    comment_count: int
    my_vote: VoteType | None
    created_at: dt.datetime
    updated_at: dt.datetime
    published_at: dt.datetime | None

    @classmethod
    def of(cls, post: Post) -> Self:
        return cls(**_shown(post))


class HitOut(PostOut):
    """A post that a search found; `snippet` is safe HTML with the matches in <mark>."""

    snippet: str

    @classmethod
    def of(cls, post: Post) -> Self:
        return cls(**_shown(post), snippet=post.snippet)  # type: ignore[attr-defined]


def _shown(post: Any) -> dict[str, Any]:
    """The fields of a post of feeds.lists.presentation, by their names in the API."""
    return {
        "id": post.pk,
        "title": post.title,
        "body": post.body,
        "author": post.author.username,
        "circle": post.circle.slug if post.circle else None,
        "status": str(post.status),
        "url": f"/posts/{post.pk}",
        "upvotes": post.upvotes,
        "downvotes": post.downvotes,
        "score": post.score,
        "hot": post.hot,
        "comment_count": post.comment_count,
        "my_vote": post.my_vote,
        "created_at": post.created_at,
        "updated_at": post.updated_at,
        "published_at": post.published_at,
    }
