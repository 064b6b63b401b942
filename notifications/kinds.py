"""Kinds: every kind of notice. A new one is an entry here and a function in `notifications.subscribers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict
from urllib.parse import quote

from django.utils.translation import gettext_lazy as _

from feeds.models import Comment, Follow, Membership, Post, User
from notifications.notices.kind import Kind
from notifications.notices.recipients import followers_with_bell, mentioned
from notifications.notices.votes import Upvotes

# Shapes: the data of a notice, as the database keeps it and clients get it. ------------------------------------------


class NoData(TypedDict):
    """No fields."""


class PeopleData(TypedDict):
    """actors, names: ids and usernames of the newest people, the newest first. count: how many people in all."""

    actors: list[int]
    names: list[str]
    count: int


class CircleData(PeopleData):
    """circle: its slug. title: its name."""

    circle: str
    title: str


class PostData(TypedDict):
    """post_id, title: the post."""

    post_id: int
    title: str


class CommentData(TypedDict, total=False):
    """comment_id: the comment, if it is about one."""

    comment_id: int


class WritingData(PostData, CommentData):
    """A post, or a comment in it."""


class ContentData(PeopleData, WritingData):
    """A post, or a comment in it, and people."""


def no_data(user: User) -> NoData:
    """The user alone needs no data."""
    return {}


def one_person(user: User) -> PeopleData:
    """One user did it."""
    return {"actors": [user.pk], "names": [user.username], "count": 1}


def follow_data(follow: Follow) -> PeopleData:
    """The follower."""
    return one_person(follow.follower)


def membership_data(membership: Membership) -> CircleData:
    """The circle and its new member."""
    circle = membership.circle
    return {"circle": circle.slug, "title": circle.name, **one_person(membership.user)}


def content_data(writing: Post | Comment) -> ContentData:
    """The post or comment and its author."""
    return {**_writing(writing), **one_person(writing.author)}


def upvotes_data(upvotes: Upvotes) -> ContentData:
    """The post or comment and its voters."""
    people: PeopleData = {"actors": upvotes.actors, "names": upvotes.names, "count": upvotes.total}
    return {**_writing(upvotes.writing), **people}


def _writing(writing: Post | Comment) -> WritingData:
    post = writing if isinstance(writing, Post) else writing.post
    data: WritingData = {"post_id": post.pk, "title": post.title}
    if isinstance(writing, Comment):
        data["comment_id"] = writing.pk
    return data


# Keys: the subject of a notice, of which a user has one notice. -------------------------------------------------------


def content_key(writing: Post | Comment) -> str:
    """The post or comment: its author's, a mention and a reply are one notice."""
    return f"{writing._meta.model_name}/{writing.pk}"


def follow_key(follower_id: int) -> str:
    """The follower."""
    return f"follow/{follower_id}"


def member_key(circle_id: int, user_id: int) -> str:
    """The circle and its member."""
    return f"circle/{circle_id}/{user_id}"


# Links. ---------------------------------------------------------------------------------------------------------------


def to_writing(data: Mapping[str, Any]) -> str:
    """The post, or the comment in it."""
    anchor = f"#comment-{data['comment_id']}" if data.get("comment_id") else ""
    return f"/posts/{data['post_id']}{anchor}"


def to_person(data: Mapping[str, Any]) -> str:
    """The newest person."""
    return f"/users/{quote(data['names'][0])}"


def to_circle(data: Mapping[str, Any]) -> str:
    """The circle."""
    return f"/circles/{quote(data['circle'])}"


# Recipients that need no query, and actors. ---------------------------------------------------------------------------


def author_of_post(comment: Comment) -> list[int]:
    """The author of the post that was commented on."""
    return [comment.post.author_id]


def author_of_parent(comment: Comment) -> list[int]:
    """The author of the comment that was replied to."""
    return [comment.parent.author_id] if comment.parent is not None else []


def author(writing: Post | Comment) -> int:
    """The author, who causes the notices of a text."""
    return writing.author_id


# The kinds. -----------------------------------------------------------------------------------------------------------

WELCOME = Kind(
    name="welcome",
    to=lambda user: [user.pk],
    key=lambda user: "welcome",
    data=no_data,
    withdrawn_with_content=False,
    text=_("Welcome to Airy! Follow people and join circles to fill your feed."),
    link=lambda data: "/",
)
POST = Kind(
    name="post",
    to=followers_with_bell,
    key=content_key,
    data=content_data,
    withdrawn_with_content=True,
    text=_("%(who)s posted “%(title)s”"),
    link=to_writing,
    actor=author,
)
MENTION = Kind(
    name="mention",
    to=mentioned,
    key=content_key,
    data=content_data,
    withdrawn_with_content=True,
    text=_("%(who)s mentioned you in “%(title)s”"),
    link=to_writing,
    actor=author,
    rank=1,
)
COMMENT = Kind(
    name="comment",
    to=author_of_post,
    key=content_key,
    data=content_data,
    withdrawn_with_content=True,
    text=_("%(who)s commented on “%(title)s”"),
    link=to_writing,
    actor=author,
    rank=2,
)
REPLY = Kind(
    name="reply",
    to=author_of_parent,
    key=content_key,
    data=content_data,
    withdrawn_with_content=True,
    text=_("%(who)s replied to your comment on “%(title)s”"),
    link=to_writing,
    actor=author,
    rank=3,
)
VOTE = Kind(
    name="vote",
    to=lambda upvotes: [upvotes.writing.author_id],
    key=lambda upvotes: f"vote/{content_key(upvotes.writing)}",
    data=upvotes_data,
    withdrawn_with_content=True,
    text=_("%(who)s upvoted “%(title)s”"),
    text_on_comment=_("%(who)s upvoted your comment on “%(title)s”"),
    link=to_writing,
    grows=True,
)
FOLLOW = Kind(
    name="follow",
    to=lambda follow: [follow.followee_id],
    key=lambda follow: follow_key(follow.follower_id),
    data=follow_data,
    withdrawn_with_content=False,
    text=_("%(who)s followed you"),
    link=to_person,
    actor=lambda follow: follow.follower_id,
    returns=True,
)
CIRCLE = Kind(
    name="circle",
    to=lambda membership: [membership.circle.owner_id],
    key=lambda membership: member_key(membership.circle_id, membership.user_id),
    data=membership_data,
    withdrawn_with_content=False,
    text=_("%(who)s joined %(title)s"),
    link=to_circle,
    actor=lambda membership: membership.user_id,
    returns=True,
)
