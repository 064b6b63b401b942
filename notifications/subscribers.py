"""Subscribers of notifications: who is told of what, following the events.

Each reads current state and makes its notices in one pass, so that order and repetition of events do not matter.
Nobody is notified of the past: an import of old data tells nobody, a long outage of the workers still does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import partial
from typing import Any

from django.db import transaction

from events.bus import Event, emit, subscriber
from feeds.events import (
    CircleJoined,
    CommentCreated,
    CommentDeleted,
    CommentUpdated,
    PostDeleted,
    PostPublished,
    PostUpdated,
    PostVoted,
    UserFollowed,
    UserRegistered,
    VoteCreated,
    VoteDeleted,
    VoteEvent,
    VoteUpdated,
)
from feeds.models import Comment, Follow, Membership, Post, User, Vote
from notifications.events import BellsContinued, WithdrawalContinued
from notifications.kinds import KINDS
from notifications.notices.locking import hold
from notifications.notices.notices import CHUNK, Notice, Way, notify, withdraw
from notifications.notices.votes import notices_of_votes
from notifications.push import hints as push

#: What is older than this when its event is emitted was not news even then.
NEWS = dt.timedelta(hours=1)
#: Followers of one post that hear of it in one transaction, however many posts share it.
QUOTA = 100


@subscriber(UserRegistered, batch=100, replayable=True)
def welcome(events: list[UserRegistered]) -> None:
    """A new user is greeted."""
    users = User.objects.active().in_bulk([event.user_id for event in events])
    notify(
        Notice(user_id=user_id, kind="welcome", key="welcome", data={})
        for event in events
        if (user := users.get(event.user_id)) is not None and is_news(event, user.date_joined)
        for user_id in KINDS["welcome"].to(user)
    )


@subscriber(UserFollowed, batch=100, replayable=True)
def tell_of_follows(events: list[UserFollowed]) -> None:
    """A user hears of each new follower."""
    pairs = {(event.follower_id, event.followee_id): event for event in events}
    follows = Follow.objects.filter(
        follower__in={event.follower_id for event in events}, followee__in={event.followee_id for event in events}
    ).select_related("follower")
    notify(
        Notice(user_id=user_id, kind="follow", key=f"follow/{follow.follower_id}", **by(follow.follower))
        for follow in follows
        if (event := pairs.get((follow.follower_id, follow.followee_id))) and is_news(event, follow.created_at)
        for user_id in KINDS["follow"].to(follow)
    )


@subscriber(CircleJoined, batch=100, replayable=True)
def tell_of_members(events: list[CircleJoined]) -> None:
    """The owner of a circle hears of each new member."""
    pairs = {(event.circle_id, event.user_id): event for event in events}
    memberships = Membership.objects.filter(
        circle__in={event.circle_id for event in events}, user__in={event.user_id for event in events}
    ).select_related("circle", "user")
    notify(
        Notice(
            user_id=user_id,
            kind="circle",
            key=f"circle/{membership.circle_id}/{membership.user_id}",
            **by(membership.user, circle=membership.circle.slug, title=membership.circle.name),
        )
        for membership in memberships
        if (event := pairs.get((membership.circle_id, membership.user_id))) and is_news(event, membership.created_at)
        for user_id in KINDS["circle"].to(membership)
        if user_id != membership.user_id
    )


@subscriber(PostPublished, BellsContinued, batch=50, replayable=True)
def ring_bells(events: list[PostPublished | BellsContinued]) -> None:
    """The mentioned and the followers whose bell is on hear of a new post; of many followers a chunk per event."""
    posts = hold(post_ids=[event.post_id for event in events]).posts
    quota = max(QUOTA, CHUNK // len(events))
    notices: list[Notice] = []
    for event in events:
        post = posts.get(event.post_id)
        if post is None or post.published_at is None:
            continue
        begun = isinstance(event, BellsContinued)
        if not begun and not is_news(event, post.published_at):
            notices += about(post, "mention", way=Way.NOTE)
            continue
        after = event.after_follower_id if isinstance(event, BellsContinued) else 0
        followers = KINDS["post"].to(post).filter(follower__gt=after, created_at__lte=event.meta.time)
        chunk = list(followers[: quota + 1])
        notices += [] if begun else about(post, "mention")
        notices += _each(post, "post", chunk[:quota])
        if len(chunk) > quota:
            emit(BellsContinued(post_id=post.pk, after_follower_id=chunk[quota - 1]), cause=event)
    notify(notices)


@subscriber(CommentCreated, batch=50, replayable=True)
def tell_of_comments(events: list[CommentCreated]) -> None:
    """The author of the parent, the author of the post and the mentioned hear of a comment, each once."""
    comments = hold(comment_ids=[event.comment_id for event in events]).comments

    def notices() -> Iterator[Notice]:
        for event in events:
            if (comment := comments.get(event.comment_id)) is None:
                continue
            if is_news(event, comment.created_at):
                yield from about(comment, "reply", "comment", "mention")
            else:
                yield from about(comment, "mention", way=Way.NOTE)

    notify(notices())


@subscriber(PostUpdated, CommentUpdated, batch=50, replayable=True)
def tell_of_new_mentions(events: list[PostUpdated | CommentUpdated]) -> None:
    """Whom an edit mentions for the first time hears of it."""
    posts = {event.post_id for event in events if isinstance(event, PostUpdated) and "body" in event.changed}
    comments = {event.comment_id for event in events if isinstance(event, CommentUpdated)}
    held = hold(post_ids=posts, comment_ids=comments)
    edited = [*map(held.posts.get, posts), *map(held.comments.get, comments)]
    notify(notice for writing in edited if writing is not None for notice in about(writing, "mention"))


@subscriber(VoteCreated, VoteUpdated, VoteDeleted, batch=200, replayable=True)
def tell_of_votes(events: list[VoteEvent]) -> None:
    """The author hears of upvotes, in one growing notice; a vote that is gone leaves it.

    Not of `post.voted`, whose time is when the vote was counted: after an outage that would be too late to be news.
    """
    new = {event.vote_id for event in events if isinstance(event, VoteCreated)}
    born = dict(Vote.objects.filter(pk__in=new).values_list("pk", "created_at"))
    ringing = {
        (event.entity_type, event.entity_id)
        for event in events
        if event.vote_type == "up"
        and (
            isinstance(event, VoteUpdated)
            or (isinstance(event, VoteCreated) and event.vote_id in born and is_news(event, born[event.vote_id]))
        )
    }
    gone = {
        (event.entity_type, event.entity_id)
        for event in events
        if isinstance(event, VoteDeleted) or (isinstance(event, VoteUpdated) and event.vote_type == "down")
    }
    notify(notices_of_votes(ringing, gone - ringing))


@subscriber(PostDeleted, CommentDeleted, WithdrawalContinued, batch=50, replayable=True)
def withdraw_notices(events: list[PostDeleted | CommentDeleted | WithdrawalContinued]) -> None:
    """What was told of deleted content is taken back, a chunk of notices per event."""
    posts: set[int] = set()
    comments: set[int] = set()
    for event in events:
        if isinstance(event, WithdrawalContinued):
            posts.update(event.post_ids)
            comments.update(event.comment_ids)
        elif isinstance(event, CommentDeleted):
            comments.add(event.comment_id)
        else:
            posts.add(event.post_id)
    if withdraw(post_ids=posts, comment_ids=comments):
        rest = WithdrawalContinued(post_ids=tuple(sorted(posts)), comment_ids=tuple(sorted(comments)))
        emit(rest, cause=events[-1])


@subscriber(PostVoted, CommentCreated, CommentDeleted, VoteDeleted, batch=200, replayable=True)
def show_counts(events: list[Any]) -> None:
    """Those who watch a post see its counts change."""
    posts = {
        event.entity_id if isinstance(event, VoteDeleted) else event.post_id
        for event in events
        if not isinstance(event, VoteDeleted) or event.entity_type == "post"
    }
    if posts:
        transaction.on_commit(partial(push.push_counts, posts), robust=True)


def is_news(event: Event, when: dt.datetime) -> bool:
    """Whether it had just happened when its event was emitted."""
    return event.meta.time - when <= NEWS


def by(actor: User, **data: Any) -> dict[str, Any]:
    """What a notice of one person's doing holds."""
    return {"actor_id": actor.pk, "data": {**data, "actors": [actor.pk], "names": [actor.username], "count": 1}}


def about(writing: Post | Comment, *kinds: str, way: Way = Way.RING) -> Iterator[Notice]:
    """Notices of a post or comment for those whom these kinds concern, the author left out."""
    for kind in kinds:
        yield from _each(writing, kind, KINDS[kind].to(writing), way=way)


def _each(writing: Post | Comment, kind: str, user_ids: Any, *, way: Way = Way.RING) -> Iterator[Notice]:
    """A notice of one kind for each of these people; all that one person hears of one text has one key."""
    post = writing if isinstance(writing, Post) else writing.post
    data = {"post_id": post.pk, "title": post.title}
    if isinstance(writing, Comment):
        data["comment_id"] = writing.pk
    key = f"{writing._meta.model_name}/{writing.pk}"
    told = by(writing.author, **data)
    for user_id in user_ids:
        if user_id != writing.author_id:
            yield Notice(user_id=user_id, kind=kind, key=key, way=way, **told)
