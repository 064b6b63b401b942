"""Items: the rows of feeds in the archive, each as it is told to its person."""

from __future__ import annotations

import datetime as dt
from typing import Any, Self

from pydantic import BaseModel

from feeds.models import ApiToken, Circle, Comment, Membership, Post, SecondFactor, User, UserSession, Vote


class ArchivedAccount(BaseModel):
    """The account."""

    id: int
    username: str
    email: str
    email_confirmed: bool
    confirmed_email: str
    is_staff: bool
    created_at: dt.datetime
    last_login_at: dt.datetime | None
    last_seen_at: dt.datetime

    @classmethod
    def of(cls, user: User) -> Self:
        return cls(
            id=user.pk,
            username=user.username,
            email=user.email,
            email_confirmed=user.email_confirmed,
            confirmed_email=user.confirmed_email,
            is_staff=user.is_staff,
            created_at=user.date_joined,
            last_login_at=user.last_login,
            last_seen_at=user.last_seen_at,
        )


class ArchivedPost(BaseModel):
    """A post or a draft; `circle` is a slug. A deleted one has `deleted_at`, and no text any more unless a moderator
    removed it: then it has a `removal_reason`, and its text for 30 days.
    """

    id: int
    title: str
    body: str
    circle: str | None
    status: str
    created_at: dt.datetime
    published_at: dt.datetime | None
    updated_at: dt.datetime
    deleted_at: dt.datetime | None
    removal_reason: str

    @classmethod
    def of(cls, post: Post) -> Self:
        return cls(
            id=post.pk,
            title=post.title,
            body=post.body,
            circle=post.circle.slug if post.circle else None,
            status=str(post.status),
            created_at=post.created_at,
            published_at=post.published_at,
            updated_at=post.updated_at,
            deleted_at=post.deleted_at,
            removal_reason=post.removal_reason,
        )


class ArchivedComment(BaseModel):
    """A comment on a post; `parent_id` is the comment that it answers. Deleted and removed ones are as in posts."""

    id: int
    post_id: int
    parent_id: int | None
    content: str
    created_at: dt.datetime
    updated_at: dt.datetime
    deleted_at: dt.datetime | None
    removal_reason: str

    @classmethod
    def of(cls, comment: Comment) -> Self:
        return cls(
            id=comment.pk,
            post_id=comment.post_id,
            parent_id=comment.parent_id,
            content=comment.content,
            created_at=comment.created_at,
            updated_at=comment.updated_at,
            deleted_at=comment.deleted_at,
            removal_reason=comment.removal_reason,
        )


class ArchivedVote(BaseModel):
    """A vote on a post or comment, "up" or "down"."""

    entity_type: str
    entity_id: int
    vote_type: str
    created_at: dt.datetime
    updated_at: dt.datetime

    @classmethod
    def of(cls, vote: Vote) -> Self:
        return cls(
            entity_type=str(vote.entity_type),
            entity_id=vote.entity_id,
            vote_type=str(vote.vote_type),
            created_at=vote.created_at,
            updated_at=vote.updated_at,
        )


class ArchivedFollow(BaseModel):
    """Someone whom you follow. `bell`: whether each of their posts is a notice; null is the default rule."""

    username: str
    bell: bool | None
    since: dt.datetime

    @classmethod
    def of(cls, follow: Any) -> Self:
        return cls(username=follow.username, bell=follow.bell, since=follow.created_at)


class ArchivedPerson(BaseModel):
    """Someone who follows you, or whom you block or mute."""

    username: str
    since: dt.datetime

    @classmethod
    def of(cls, tie: Any) -> Self:
        return cls(username=tie.username, since=tie.created_at)


class ArchivedCircle(BaseModel):
    """A circle that you own."""

    slug: str
    name: str
    description: str
    created_at: dt.datetime

    @classmethod
    def of(cls, circle: Circle) -> Self:
        return cls(slug=circle.slug, name=circle.name, description=circle.description, created_at=circle.created_at)


class ArchivedMembership(BaseModel):
    """A circle that you are a member of; `circle` is its slug."""

    circle: str
    since: dt.datetime

    @classmethod
    def of(cls, membership: Membership) -> Self:
        return cls(circle=membership.circle.slug, since=membership.created_at)


class ArchivedFactor(BaseModel):
    """The second factor, without its secret. recovery_codes: how many are left."""

    created_at: dt.datetime
    recovery_codes: int

    @classmethod
    def of(cls, factor: SecondFactor) -> Self:
        return cls(created_at=factor.created_at, recovery_codes=factor.recovery_codes.count())


class ArchivedToken(BaseModel):
    """An API token, without its secret. `scopes` is empty for one that was made before there were scopes."""

    id: int
    name: str
    scopes: list[str]
    expires: dt.datetime | None
    created_at: dt.datetime
    last_used_at: dt.datetime | None

    @classmethod
    def of(cls, token: ApiToken) -> Self:
        return cls(
            id=token.pk,
            name=token.name,
            scopes=[scope.value for scope in token.scope_list],
            expires=token.expires_at,
            created_at=token.created_at,
            last_used_at=token.last_used_at,
        )


class ArchivedSession(BaseModel):
    """A session in which you are signed in."""

    browser: str
    network: str
    created_at: dt.datetime
    last_seen_at: dt.datetime

    @classmethod
    def of(cls, session: UserSession) -> Self:
        return cls(
            browser=session.browser,
            network=session.network,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
        )
