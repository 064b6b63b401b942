"""Subscribers of feeds: the search index, the feeds and the counts follow the events.

Each reads the current state, or adds changes whose order does not matter, so events may arrive in any order.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from events.bus import PermanentFailure, continue_with, emit, emit_many, subscriber
from feeds.counts import counting
from feeds.counts.counts import Counts
from feeds.counts.targets import CountTarget, EntityKey, find_targets
from feeds.erasing import accounts, leaving, removed
from feeds.events import (
    AccountDeleted,
    AccountForgotten,
    CircleJoined,
    CircleLeft,
    CommentCreated,
    CommentDeleted,
    CommentVoted,
    EmailChanged,
    EmailConfirmationRequested,
    FactorTurnedOff,
    FactorTurnedOn,
    FanoutContinued,
    FeedsGrown,
    LeavingContinued,
    PasswordResetRequested,
    PostDeleted,
    PostPublished,
    PostUpdated,
    PostVoted,
    RetractionContinued,
    TextRemoved,
    UserFollowed,
    UserUnfollowed,
    VoteCreated,
    VoteDeleted,
    VoteEvent,
    VoteUpdated,
)
from feeds.factor.seal import BrokenSealError, unseal
from feeds.home_feed import fanout, removal, trimming
from feeds.mail import letters
from feeds.models import User
from feeds.search.index import index_posts

#: A mail server that is down for a day loses no letter: after some minutes each is tried every quarter of an hour. No
#: transaction is open while the server is waited for, and it has a bounded number of connections.
LETTERS: dict[str, Any] = {"atomic": False, "max_retries": 100, "min_backoff": 5_000, "max_backoff": 900_000}
LETTERS |= {"concurrency": 2, "time_limit": 120_000}
VOTES = {"up": Counts(upvotes=1), "down": Counts(downvotes=1)}


@subscriber(PostPublished, PostUpdated, PostDeleted, replayable=True)
def index_post(event: PostPublished | PostUpdated | PostDeleted) -> None:
    """Index a visible post; remove any other from the index."""
    index_posts([event.post_id])


@subscriber(PostPublished, replayable=True, takes_redacted=True)
def rank_post(event: PostPublished) -> None:
    """Insert the counts of a new post, which give it a place in the ranked lists before its first vote."""
    counting.add({("post", event.post_id): Counts()})


@subscriber(PostPublished, PostUpdated, FanoutContinued, replayable=True)
def fan_out_post(event: PostPublished | PostUpdated | FanoutContinued) -> None:
    """Put a new post, or one that moved to another circle, into the feeds of its recipients, one chunk per event."""
    if isinstance(event, PostUpdated) and "circle" not in event.changed:
        return
    after = event.after_follower_id if isinstance(event, FanoutContinued) else 0
    to_trim, last = fanout.fan_out(event.post_id, after=after)
    if last is not None:
        continue_with(FanoutContinued(post_id=event.post_id, author_id=event.author_id, after_follower_id=last))
    if to_trim:
        emit(FeedsGrown(post_id=event.post_id, reader_ids=to_trim))


@subscriber(FeedsGrown, batch=50, replayable=True)
def trim_feeds(events: list[FeedsGrown]) -> None:
    """Cut the chosen feeds to their newest entries, in a delivery of its own."""
    trimming.trim({reader_id for event in events for reader_id in event.reader_ids})


@subscriber(PostDeleted, RetractionContinued, replayable=True)
def retract_post(event: PostDeleted | RetractionContinued) -> None:
    """Remove a deleted post from the feeds, one chunk per event."""
    after = event.after_reader_id if isinstance(event, RetractionContinued) else 0
    last = removal.remove_post(event.post_id, after=after)
    if last is not None:
        continue_with(RetractionContinued(post_id=event.post_id, author_id=event.author_id, after_reader_id=last))


@subscriber(TextRemoved, replayable=True)
def erase_removed(event: TextRemoved) -> None:
    """Erase what a moderator removed, once the time for restoring it is over."""
    removed.erase_expired({event.entity_type: [event.entity_id]})


@subscriber(AccountDeleted, AccountForgotten, replayable=True)
def forget_account(event: AccountDeleted | AccountForgotten) -> None:
    """Erase what is left of a deleted account, one chunk per event."""
    place = accounts.Place(event.step, event.after) if isinstance(event, AccountForgotten) else accounts.BEGIN
    following = accounts.forget(event.user_id, erase_texts=event.erase_texts, place=place)
    if following is not None:
        step, after = following
        continue_with(AccountForgotten(user_id=event.user_id, erase_texts=event.erase_texts, step=step, after=after))


@subscriber(LeavingContinued, replayable=True)
def continue_leaving(event: LeavingContinued) -> None:
    """End what still binds a user who left to others, one chunk per event."""
    if leaving.end_next(event.user_id):
        continue_with(LeavingContinued(user_id=event.user_id))


@subscriber(UserFollowed, batch=100, replayable=True)
def backfill_followed(events: list[UserFollowed]) -> None:
    """Put the newest posts of a followed user into the follower's feed."""
    fanout.backfill_authors({(event.follower_id, event.followee_id) for event in events})


@subscriber(UserUnfollowed, replayable=True)
def retract_unfollowed(event: UserUnfollowed) -> None:
    """Remove the posts of an unfollowed user from the feed."""
    removal.remove_unwanted(event.follower_id, author_id=event.followee_id)


@subscriber(CircleJoined, replayable=True)
def backfill_joined(event: CircleJoined) -> None:
    """Put the newest posts of a joined circle into the member's feed."""
    fanout.backfill_circle(event.user_id, event.circle_id)


@subscriber(CircleLeft, replayable=True)
def retract_left(event: CircleLeft) -> None:
    """Remove the posts of a circle from the feed of a user who left it."""
    removal.remove_unwanted(event.user_id, circle_id=event.circle_id)


@subscriber(VoteCreated, VoteUpdated, VoteDeleted, batch=500)
def count_votes(events: list[VoteEvent]) -> None:
    """Add votes to the counts, and emit post.voted or comment.voted for each new or changed one.

    1. Add up the changes per post and comment.
    2. Emit the voted events, with the author of the post or comment.
    3. Delete the pending counts of these votes.
    4. Change the counts: last, since it locks their rows until the commit.
    """
    changes: dict[EntityKey, Counts] = defaultdict(Counts)
    for event in events:
        changes[_key(event)] = changes[_key(event)].plus(_vote_change(event))
    found = find_targets(changes)
    visible = {key: target for key, target in found.items() if target.visible}
    causes = [vote for vote in events if not isinstance(vote, VoteDeleted) and _key(vote) in visible]
    emit_many((_voted(vote, visible[_key(vote)]) for vote in causes), cause=causes)
    counting.delete_pending(event.meta.id for event in events)
    counting.add(changes, found=found)


@subscriber(CommentCreated, CommentDeleted, batch=200, takes_redacted=True)
def count_comments(events: list[CommentCreated | CommentDeleted]) -> None:
    """Add comments to the counts of their posts, and insert the counts of each new comment."""
    changes: dict[EntityKey, Counts] = defaultdict(Counts)
    for event in events:
        created = isinstance(event, CommentCreated)
        changes["post", event.post_id] = changes["post", event.post_id].plus(Counts(comments=1 if created else -1))
        if created:
            changes["comment", event.comment_id] = changes["comment", event.comment_id]
    counting.delete_pending(event.meta.id for event in events)
    counting.add(changes)


@subscriber(PasswordResetRequested, **LETTERS)
def send_password_reset(event: PasswordResetRequested) -> None:
    """Send the links to a new password, for those who still may have one."""
    for user in User.objects.active().filter(pk__in=event.user_ids).order_by("pk"):
        if user.email and user.has_usable_password():
            letters.write_of_password_reset(user, site=event.site, language=event.language)


@subscriber(EmailConfirmationRequested, **LETTERS)
def send_confirmation(event: EmailConfirmationRequested) -> None:
    """Send the link that confirms the address which the user has now."""
    user = User.objects.active().filter(pk=event.user_id).first()
    if user is not None and user.email and not user.email_confirmed:
        letters.write_of_confirmation(user, site=event.site, language=event.language)


@subscriber(EmailConfirmationRequested, **LETTERS)
def tell_confirmed_address(event: EmailConfirmationRequested) -> None:
    """Tell the address that was confirmed before that another one is to replace it."""
    user = User.objects.active().filter(pk=event.user_id).first()
    if event.replaces and user is not None and user.confirmed_email and not user.email_confirmed:
        letters.write_of_another_address(user, site=event.site, language=event.language)


@subscriber(EmailChanged, **LETTERS)
def tell_former_address(event: EmailChanged) -> None:
    """Tell the address that was confirmed before that it is not the account's any more: it may have been somebody
    else."""
    user = User.objects.active().filter(pk=event.user_id).first()
    if user is None:
        return
    try:
        address = unseal(event.sealed_before)
    except BrokenSealError:
        raise PermanentFailure("SECRET_KEY_FALLBACKS lacks the key of the address: add it, and requeue") from None
    if address != user.confirmed_email:  # put back meanwhile
        letters.write_of_lost_address(user, address=address, removed=event.removed, language=event.language)


@subscriber(FactorTurnedOn, FactorTurnedOff, **LETTERS)
def tell_of_factor(event: FactorTurnedOn | FactorTurnedOff) -> None:
    """Tell a person that their second factor was turned on or off: it may have been somebody else."""
    user = User.objects.active().filter(pk=event.user_id).first()
    if user is not None and user.email:
        letters.write_of_factor(user, on=isinstance(event, FactorTurnedOn), language=event.language)


def _key(event: VoteEvent) -> EntityKey:
    return event.entity_type, event.entity_id


def _voted(event: VoteEvent, target: CountTarget) -> PostVoted | CommentVoted:
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


def _vote_change(event: VoteEvent) -> Counts:
    """What a vote event adds to the counts. A changed vote also takes its previous type away."""
    if isinstance(event, VoteDeleted):
        return VOTES[event.vote_type].negated()
    if isinstance(event, VoteUpdated):
        return VOTES[event.vote_type].plus(VOTES[event.previous_vote_type].negated())
    return VOTES[event.vote_type]
