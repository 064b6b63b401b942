"""Events of feeds: what happened, in the past tense, with ids and plain values only."""

from __future__ import annotations

from typing import Literal

from events.bus import Event

EntityType = Literal["post", "comment"]
VoteType = Literal["up", "down"]


class PostPublished(
    Event,
    topic="post.published",
    version=1,
    subject="post/{post_id}",
    redactions={"title": ""},
    concerns={"user": ("author_id",)},
):
    """A post became visible."""

    post_id: int
    author_id: int
    circle_id: int | None
    title: str


class PostUpdated(Event, topic="post.updated", version=1, subject="post/{post_id}", concerns={"user": ("author_id",)}):
    """The title, body or circle of a visible post changed; `changed` names which."""

    post_id: int
    author_id: int
    changed: tuple[str, ...]


class PostDeleted(Event, topic="post.deleted", version=1, subject="post/{post_id}", concerns={"user": ("author_id",)}):
    """A post is no longer visible."""

    post_id: int
    author_id: int


class PostVoted(
    Event, topic="post.voted", version=1, subject="post/{post_id}", concerns={"user": ("author_id", "user_id")}
):
    """A vote on a post was counted."""

    post_id: int
    author_id: int
    user_id: int
    vote_type: VoteType


class CommentCreated(
    Event,
    topic="comment.created",
    version=1,
    subject="comment/{comment_id}",
    redactions={"content": ""},
    concerns={"post": ("post_id",), "comment": ("parent_id",), "user": ("author_id",)},
):
    """A user commented on a post or replied to a comment."""

    comment_id: int
    post_id: int
    author_id: int
    parent_id: int | None
    content: str


class CommentUpdated(
    Event,
    topic="comment.updated",
    version=1,
    subject="comment/{comment_id}",
    concerns={"post": ("post_id",), "user": ("author_id",)},
):
    """The content of a comment changed."""

    comment_id: int
    post_id: int
    author_id: int


class CommentDeleted(
    Event,
    topic="comment.deleted",
    version=1,
    subject="comment/{comment_id}",
    concerns={"post": ("post_id",), "user": ("author_id",)},
):
    """A comment's content is no longer visible."""

    comment_id: int
    post_id: int
    author_id: int


class CommentVoted(
    Event,
    topic="comment.voted",
    version=1,
    subject="comment/{comment_id}",
    concerns={"post": ("post_id",), "user": ("author_id", "user_id")},
):
    """A vote on a comment was counted."""

    comment_id: int
    post_id: int
    author_id: int
    user_id: int
    vote_type: VoteType


class UserRegistered(Event, topic="user.registered", version=1, subject="user/{user_id}", redactions={"username": ""}):
    """A user opened an account."""

    user_id: int
    username: str


class PasswordResetRequested(Event, topic="password.reset_requested", version=1, concerns={"user": ("user_ids",)}):
    """Somebody asked for a new password with the address of these users; they may be none. site: for the link."""

    user_ids: tuple[int, ...]
    site: str
    language: str


class EmailConfirmationRequested(Event, topic="email.confirmation_requested", version=1, subject="user/{user_id}"):
    """A user gave an address that is to be confirmed. replaces: in place of one that was. site: for the link."""

    user_id: int
    replaces: bool
    site: str
    language: str


class EmailChanged(Event, topic="email.changed", version=1, subject="user/{user_id}", redactions={"sealed_before": ""}):
    """The confirmed address of a user was replaced by another confirmed one, or removed. sealed_before: the former one,
    as `feeds.factor.seal` encrypts it. language: of who changed it."""

    user_id: int
    removed: bool
    sealed_before: str
    language: str


class FactorEvent(Event, subject="user/{user_id}"):
    """The fields of the factor events. language: of who turned it on or off."""

    user_id: int
    language: str


class FactorTurnedOn(FactorEvent, topic="factor.turned_on", version=1):
    """Signing in takes a second factor from now on."""


class FactorTurnedOff(FactorEvent, topic="factor.turned_off", version=1):
    """Signing in takes the password alone from now on."""


class FollowEvent(Event, subject="user/{followee_id}", concerns={"user": ("follower_id",)}):
    """The fields of the follow events."""

    follower_id: int
    followee_id: int


class UserFollowed(FollowEvent, topic="user.followed", version=1):
    """A user follows another."""


class UserUnfollowed(FollowEvent, topic="user.unfollowed", version=1):
    """A user no longer follows another."""


class MembershipEvent(Event, subject="circle/{circle_id}", concerns={"user": ("user_id",)}):
    """The fields of the circle events."""

    circle_id: int
    user_id: int


class CircleJoined(MembershipEvent, topic="circle.joined", version=1):
    """A user joined a circle."""


class CircleLeft(MembershipEvent, topic="circle.left", version=1):
    """A user left a circle."""


class VoteEvent(Event, subject="{entity_type}/{entity_id}", concerns={"user": ("user_id",)}):
    """The fields of the vote events."""

    vote_id: int
    user_id: int
    entity_type: EntityType
    entity_id: int
    vote_type: VoteType


class VoteCreated(VoteEvent, topic="vote.created", version=1):
    """A user voted."""


class VoteUpdated(VoteEvent, topic="vote.updated", version=1):
    """A user changed a vote from up to down or from down to up."""

    previous_vote_type: VoteType


class VoteDeleted(VoteEvent, topic="vote.deleted", version=1):
    """A user removed a vote; `vote_type` is the removed one."""


class FanoutContinued(
    Event, topic="feed.fanout_continued", version=1, subject="post/{post_id}", concerns={"user": ("author_id",)}
):
    """A post came into the feeds of the recipients up to the user `after_follower_id`; the next chunk is due."""

    post_id: int
    author_id: int
    after_follower_id: int


class RetractionContinued(
    Event, topic="feed.retraction_continued", version=1, subject="post/{post_id}", concerns={"user": ("author_id",)}
):
    """A deleted post was removed from the feeds up to the user `after_reader_id`; the next chunk is due."""

    post_id: int
    author_id: int
    after_reader_id: int


class FeedsGrown(Event, topic="feed.grown", version=1, subject="post/{post_id}"):
    """A post came into feeds; those of `reader_ids` must be trimmed."""

    post_id: int
    reader_ids: tuple[int, ...]


class AccountDeleted(Event, topic="feed.account_deleted", version=1, subject="user/{user_id}"):
    """A user left for good. The account has no name any more; its texts, if they are to be erased, and its name in what
    others wrote are still there."""

    user_id: int
    erase_texts: bool


class AccountForgotten(Event, topic="feed.account_forgotten", version=1, subject="user/{user_id}"):
    """A part of what is left of a deleted account was erased, up to the id `after` in this step; the next is due."""

    user_id: int
    erase_texts: bool
    step: str
    after: int


class LeavingContinued(Event, topic="feed.leaving_continued", version=1, subject="user/{user_id}"):
    """Some follows, memberships and circles of a user who left have ended or passed on; the next chunk is due."""

    user_id: int


class TextRemoved(Event, topic="feed.text_removed", version=1, subject="{entity_type}/{entity_id}"):
    """A moderator removed a post or comment. It is delivered when the time for restoring it is over."""

    entity_type: EntityType
    entity_id: int
