"""Events of notifications: continuations of work that is too much for one transaction."""

from __future__ import annotations

from events.bus import Event


class BellsContinued(Event, topic="notification.bells_continued", version=1, subject="post/{post_id}"):
    """The followers of a post's author were notified of it, up to the id `after_follower_id`; the next chunk is due."""

    post_id: int
    after_follower_id: int


class WithdrawalContinued(Event, topic="notification.withdrawal_continued", version=1):
    """Some notices of these posts and comments were withdrawn; the next chunk is due."""

    post_ids: tuple[int, ...]
    comment_ids: tuple[int, ...]
