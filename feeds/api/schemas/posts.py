"""Post, as input and output of the API."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal, Self

from pydantic import BaseModel

from feeds.api.schemas.shape import Input
from feeds.api.schemas.votes import VoteType
from feeds.models import Post

Status = Literal["draft", "published"]


class PostIn(Input):
    """A new post; `body` is Markdown, `circle` a slug."""

    title: str
    body: str = ""
    circle: str | None = None
    status: Status = "published"


class PostPatch(Input):
    """The fields to change; a field that is left out stays."""

    title: str = ""
    body: str = ""
    circle: str | None = None
    status: Status = "published"


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
