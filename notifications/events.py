"""Events of notifications: continuations of work that is too much for one transaction."""

from __future__ import annotations

from events.bus import Event


class BellsContinued(Event, topic="notification.bells_continued", version=1, subject="post/{post_id}"):
    """The followers of a post's author were notified of it, up to the id `after_follower_id`; the next chunk is due."""

    post_id: int
    after_follower_id: int


class HidingContinued(
    Event, topic="notification.hiding_continued", version=1, subject="user/{user_id}", concerns={"user": ("target_id",)}
):
    """Some of a user's notices about a person whom the user hid were withdrawn; the next chunk is due.

    after_vote_id: up to this one, the person's upvotes were taken out of notices.
    """

    user_id: int
    target_id: int
    after_vote_id: int


class WithdrawalContinued(
    Event,
    topic="notification.withdrawal_continued",
    version=1,
    concerns={"post": ("post_ids",), "comment": ("comment_ids",)},
):
    """Some notices of these posts and comments were withdrawn; the next chunk is due."""

    post_ids: tuple[int, ...]
    comment_ids: tuple[int, ...]


class NoticesForgotten(Event, topic="notification.forgotten", version=1, subject="user/{user_id}"):
    """The notices up to the id `after` name a user who left no longer; the next chunk is due."""

    user_id: int
    after: int
