"""Subscribers of feeds: search index, feeds and counts follow the events.

Each reads current state or adds deltas that commute, so the order in which events arrive does not matter.
"""

from __future__ import annotations

from collections import defaultdict

from events.bus import emit, emit_many, subscriber
from feeds.counts import counting
from feeds.counts.counting import Delta, Key, Target
from feeds.events import (
    CircleJoined,
    CircleLeft,
    CommentCreated,
    CommentDeleted,
    CommentVoted,
    FanoutContinued,
    FeedsGrown,
    PostDeleted,
    PostPublished,
    PostUpdated,
    PostVoted,
    RetractionContinued,
    UserFollowed,
    UserUnfollowed,
    VoteCreated,
    VoteDeleted,
    VoteEvent,
    VoteUpdated,
)
from feeds.home_feed import fanout, trimming
from feeds.home_feed import removal as retraction
from feeds.search import search

VOTES = {"up": Delta(upvotes=1), "down": Delta(downvotes=1)}


@subscriber(PostPublished, PostUpdated, PostDeleted, replayable=True)
def index_post(event: PostPublished | PostUpdated | PostDeleted) -> None:
    """Visible posts are in the search index, all others are not."""
    search.index_posts([event.post_id])


@subscriber(PostPublished, replayable=True)
def rank_post(event: PostPublished) -> None:
    """A post has its counts, and with them a place in the ranked lists, from the beginning."""
    counting.add({("post", event.post_id): Delta()})


@subscriber(PostPublished, PostUpdated, FanoutContinued, replayable=True)
def fan_out_post(event: PostPublished | PostUpdated | FanoutContinued) -> None:
    """A post comes into the feeds of its readers, a chunk of them per event; moved to a circle, also of its members."""
    if isinstance(event, PostUpdated) and "circle" not in event.changed:
        return
    after = event.after_follower_id if isinstance(event, FanoutContinued) else 0
    to_trim, last = fanout.fan_out(event.post_id, after=after)
    if last is not None:
        emit(FanoutContinued(post_id=event.post_id, author_id=event.author_id, after_follower_id=last))
    if to_trim:
        emit(FeedsGrown(post_id=event.post_id, reader_ids=to_trim))


@subscriber(FeedsGrown, batch=50, replayable=True)
def trim_feeds(events: list[FeedsGrown]) -> None:
    """Feeds that grew are cut to their newest entries when it is their turn, in a delivery of its own."""
    trimming.trim({reader_id for event in events for reader_id in event.reader_ids})


@subscriber(PostDeleted, RetractionContinued, replayable=True)
def retract_post(event: PostDeleted | RetractionContinued) -> None:
    """A deleted post leaves the feeds, a chunk of them per event."""
    after = event.after_reader_id if isinstance(event, RetractionContinued) else 0
    last = retraction.retract_post(event.post_id, after=after)
    if last is not None:
        emit(RetractionContinued(post_id=event.post_id, author_id=event.author_id, after_reader_id=last))


@subscriber(UserFollowed, batch=100, replayable=True)
def backfill_followed(events: list[UserFollowed]) -> None:
    """Following somebody brings their newest posts into the feed."""
    fanout.backfill_authors({(event.follower_id, event.followee_id) for event in events})


@subscriber(UserUnfollowed, replayable=True)
def retract_unfollowed(event: UserUnfollowed) -> None:
    """Who is no longer followed leaves the feed."""
    retraction.retract_unwanted(event.follower_id, author_id=event.followee_id)


@subscriber(CircleJoined, replayable=True)
def backfill_joined(event: CircleJoined) -> None:
    """Joining a circle brings its newest posts into the feed."""
    fanout.backfill_circle(event.user_id, event.circle_id)


@subscriber(CircleLeft, replayable=True)
def retract_left(event: CircleLeft) -> None:
    """The posts of a circle that was left leave the feed."""
    retraction.retract_unwanted(event.user_id, circle_id=event.circle_id)


@subscriber(VoteCreated, VoteUpdated, VoteDeleted, batch=500)
def count_votes(events: list[VoteEvent]) -> None:
    """Votes move the counts and the rank of what they are on, and are announced to its author's side as post.voted."""
    deltas: dict[Key, Delta] = defaultdict(Delta)
    for event in events:
        deltas[_key(event)] = deltas[_key(event)].plus(_vote_delta(event))
    found = counting.targets(deltas)
    visible = {key: target for key, target in found.items() if target.visible}
    causes = [vote for vote in events if not isinstance(vote, VoteDeleted) and _key(vote) in visible]
    emit_many((_voted(vote, visible[_key(vote)]) for vote in causes), cause=causes)
    counting.settle(event.meta.id for event in events)
    counting.add(deltas, found=found)


@subscriber(CommentCreated, CommentDeleted, batch=200)
def count_comments(events: list[CommentCreated | CommentDeleted]) -> None:
    """Comments are counted by their post, and a new one has its own counts."""
    deltas: dict[Key, Delta] = defaultdict(Delta)
    for event in events:
        created = isinstance(event, CommentCreated)
        deltas["post", event.post_id] = deltas["post", event.post_id].plus(Delta(comments=1 if created else -1))
        if created:
            deltas["comment", event.comment_id] = deltas["comment", event.comment_id]
    counting.settle(event.meta.id for event in events)
    counting.add(deltas)


def _key(event: VoteEvent) -> Key:
    return event.entity_type, event.entity_id


def _voted(event: VoteEvent, target: Target) -> PostVoted | CommentVoted:
    post_id, author_id = target.post_id, target.author_id
    if event.entity_type == "post":
        return PostVoted(post_id=post_id, author_id=author_id, user_id=event.user_id, vote_type=event.vote_type)
    return CommentVoted(
        comment_id=event.entity_id,
        post_id=post_id,
        author_id=author_id,
        user_id=event.user_id,
        vote_type=event.vote_type,
    )


def _vote_delta(event: VoteEvent) -> Delta:
    """What a vote adds; one turned round takes its former self away, too."""
    if isinstance(event, VoteDeleted):
        return _opposite(VOTES[event.vote_type])
    if isinstance(event, VoteUpdated):
        return VOTES[event.vote_type].plus(_opposite(VOTES[event.previous_vote_type]))
    return VOTES[event.vote_type]


def _opposite(delta: Delta) -> Delta:
    return Delta(*(-number for number in delta))
