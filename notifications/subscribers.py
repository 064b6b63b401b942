"""Subscribers: which event notifies whom. A function's name names its queue: a renamed one keeps it by `name=`.

Each one reads the current state and writes all its notices at once, so that events may come in any order and more than
once. Nobody is notified of the past: an import of old data notifies nobody, a long outage of the workers still does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import partial

from django.db import transaction

from events.bus import Event, continue_with, emit, subscriber
from feeds.events import (
    AccountDeleted,
    CircleJoined,
    CircleLeft,
    CommentCreated,
    CommentDeleted,
    CommentUpdated,
    PostDeleted,
    PostPublished,
    PostUpdated,
    PostVoted,
    UserFollowed,
    UserRegistered,
    UserUnfollowed,
    VoteCreated,
    VoteDeleted,
    VoteEvent,
    VoteUpdated,
)
from feeds.models import Circle, Follow, Membership, User, Vote
from notifications.events import BellsContinued, HidingContinued, NoticesForgotten, WithdrawalContinued
from notifications.hiding import hide
from notifications.kinds import (
    CIRCLE,
    COMMENT,
    FOLLOW,
    MENTION,
    POST,
    REPLY,
    VOTE,
    WELCOME,
    follow_key,
    member_key,
)
from notifications.notices import gone
from notifications.notices.locking import lock_visible
from notifications.notices.notice import Mode, Notice
from notifications.notices.notices import NOTICES_PER_TRANSACTION, notify, withdraw, withdraw_subjects
from notifications.notices.votes import upvotes
from notifications.push.hints import push_counts

#: Age at which something is no news any more, when its event is emitted.
NEWS_AGE = dt.timedelta(hours=1)
#: Followers of one post notified in one transaction, even if many posts share it.
MIN_FOLLOWERS_PER_POST = 100


@subscriber(UserRegistered, batch=100, replayable=True)
def welcome(events: list[UserRegistered]) -> None:
    """A new user is welcomed."""
    users = User.objects.active().in_bulk([event.user_id for event in events])
    notify(
        notice
        for event in events
        if (user := users.get(event.user_id)) is not None and is_news(event, user.date_joined)
        for notice in WELCOME.notices(user)
    )


@subscriber(UserFollowed, batch=100, replayable=True)
def tell_of_follows(events: list[UserFollowed]) -> None:
    """A user is notified of each new follower."""
    pairs = {(event.follower_id, event.followee_id): event for event in events}
    follows = Follow.objects.filter(
        follower__in={event.follower_id for event in events}, followee__in={event.followee_id for event in events}
    ).select_related("follower")
    notify(
        notice
        for follow in follows
        if (event := pairs.get((follow.follower_id, follow.followee_id))) and is_news(event, follow.created_at)
        for notice in FOLLOW.notices(follow)
    )


@subscriber(CircleJoined, batch=100, replayable=True)
def tell_of_members(events: list[CircleJoined]) -> None:
    """The owner of a circle is notified of each new member."""
    pairs = {(event.circle_id, event.user_id): event for event in events}
    memberships = Membership.objects.filter(
        circle__in={event.circle_id for event in events}, user__in={event.user_id for event in events}
    ).select_related("circle", "user")
    notify(
        notice
        for membership in memberships
        if (event := pairs.get((membership.circle_id, membership.user_id))) and is_news(event, membership.created_at)
        for notice in CIRCLE.notices(membership)
    )


@subscriber(PostPublished, BellsContinued, batch=50, replayable=True)
def ring_bells(events: list[PostPublished | BellsContinued]) -> None:
    """A new post notifies the people it mentions and the followers whose bell is on.

    1. PostPublished: the people mentioned, and the first chunk of followers.
    2. BellsContinued, emitted while followers remain: the next chunk.
    """
    posts = lock_visible(post_ids=[event.post_id for event in events], mentions=True).posts
    chunk_size = max(MIN_FOLLOWERS_PER_POST, NOTICES_PER_TRANSACTION // len(events))
    notices: list[Notice] = []
    for event in events:
        post = posts.get(event.post_id)
        if post is None or post.published_at is None:
            continue
        after = 0
        if isinstance(event, BellsContinued):
            after = event.after_follower_id
        elif is_news(event, post.published_at):
            notices += MENTION.notices(post)
        else:
            notices += MENTION.notices(post, mode=Mode.SILENT)
            continue
        followers = POST.to(post, after=after, until=event.meta.time, limit=chunk_size + 1)
        notices += POST.notices(post, to=followers[:chunk_size])
        if len(followers) > chunk_size:
            emit(BellsContinued(post_id=post.pk, after_follower_id=followers[chunk_size - 1]), cause=event)
    notify(notices)


@subscriber(CommentCreated, batch=50, replayable=True)
def tell_of_comments(events: list[CommentCreated]) -> None:
    """A comment notifies the author of its parent, the author of the post and the people it mentions, each once."""
    comments = lock_visible(comment_ids=[event.comment_id for event in events], mentions=True).comments

    def notices() -> Iterator[Notice]:
        for event in events:
            if (comment := comments.get(event.comment_id)) is None:
                continue
            if is_news(event, comment.created_at):
                yield from (*REPLY.notices(comment), *COMMENT.notices(comment), *MENTION.notices(comment))
            else:
                yield from MENTION.notices(comment, mode=Mode.SILENT)

    notify(notices())


@subscriber(PostUpdated, CommentUpdated, batch=50, replayable=True)
def tell_of_new_mentions(events: list[PostUpdated | CommentUpdated]) -> None:
    """An edit notifies the people that the text mentions for the first time."""
    posts = {event.post_id for event in events if isinstance(event, PostUpdated) and "body" in event.changed}
    comments = {event.comment_id for event in events if isinstance(event, CommentUpdated)}
    locked = lock_visible(post_ids=posts, comment_ids=comments, mentions=True)
    edited = [*map(locked.posts.get, posts), *map(locked.comments.get, comments)]
    notify(notice for writing in edited if writing is not None for notice in MENTION.notices(writing))


@subscriber(VoteCreated, VoteUpdated, VoteDeleted, batch=200, replayable=True)
def tell_of_votes(events: list[VoteEvent]) -> None:
    """Upvotes notify the author, in one notice that grows; an upvote taken back is removed from it.

    Not of `post.voted`, whose time is when the vote was counted: after an outage that would be too late to be news.
    """
    new = {event.vote_id for event in events if isinstance(event, VoteCreated)}
    created_at = dict(Vote.objects.filter(pk__in=new).values_list("pk", "created_at"))
    voted = {
        (event.entity_type, event.entity_id)
        for event in events
        if event.vote_type == "up"
        and (
            isinstance(event, VoteUpdated)
            or (
                isinstance(event, VoteCreated)
                and event.vote_id in created_at
                and is_news(event, created_at[event.vote_id])
            )
        )
    }
    unvoted = {
        (event.entity_type, event.entity_id)
        for event in events
        if isinstance(event, VoteDeleted) or (isinstance(event, VoteUpdated) and event.vote_type == "down")
    }
    notify(notice for found in upvotes(voted, unvoted - voted) for notice in VOTE.notices(found, mode=found.mode))


@subscriber(PostDeleted, CommentDeleted, WithdrawalContinued, batch=50, replayable=True)
def withdraw_notices(events: list[PostDeleted | CommentDeleted | WithdrawalContinued]) -> None:
    """The notices of deleted content are withdrawn, one chunk of notices per event."""
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


@subscriber(UserUnfollowed, CircleLeft, batch=100, replayable=True)
def withdraw_ended(events: list[UserUnfollowed | CircleLeft]) -> None:
    """The notice of a follow or a membership that has ended is withdrawn. It comes back if that begins again."""
    follows = {(event.followee_id, event.follower_id) for event in events if isinstance(event, UserUnfollowed)}
    lasting = Follow.objects.filter(
        followee__in={followee for followee, _ in follows}, follower__in={follower for _, follower in follows}
    )
    follows -= set(lasting.values_list("followee_id", "follower_id"))
    members = {(event.circle_id, event.user_id) for event in events if isinstance(event, CircleLeft)}
    circles, users = {circle for circle, _ in members}, {user for _, user in members}
    members -= set(Membership.objects.filter(circle__in=circles, user__in=users).values_list("circle_id", "user_id"))
    owners = dict(Circle.objects.filter(pk__in=circles).values_list("pk", "owner_id"))
    withdraw_subjects(
        [(followee, follow_key(follower)) for followee, follower in follows]
        + [(owners[circle], member_key(circle, user)) for circle, user in members if circle in owners]
    )


@subscriber(HidingContinued)
def continue_hiding(event: HidingContinued) -> None:
    """The next chunk of a user's notices about a person whom the user hid is withdrawn."""
    hide([(event.user_id, event.target_id)], after_vote_id=event.after_vote_id)


@subscriber(PostVoted, CommentCreated, CommentDeleted, VoteDeleted, batch=200, replayable=True)
def show_counts(events: list[PostVoted | CommentCreated | CommentDeleted | VoteDeleted]) -> None:
    """The sockets that watch a post get its new counts."""
    posts = {
        event.entity_id if isinstance(event, VoteDeleted) else event.post_id
        for event in events
        if not isinstance(event, VoteDeleted) or event.entity_type == "post"
    }
    if posts:
        transaction.on_commit(partial(push_counts, posts), robust=True)


@subscriber(AccountDeleted, NoticesForgotten, replayable=True)
def forget_person(event: AccountDeleted | NoticesForgotten) -> None:
    """A user who left has no notices any more, and no name in those of others, one chunk per event."""
    after = gone.forget_person(event.user_id, after=event.after if isinstance(event, NoticesForgotten) else 0)
    if after is not None:
        continue_with(NoticesForgotten(user_id=event.user_id, after=after))


def is_news(event: Event, happened_at: dt.datetime) -> bool:
    """Whether something had just happened when its event was emitted."""
    return event.meta.time - happened_at <= NEWS_AGE
