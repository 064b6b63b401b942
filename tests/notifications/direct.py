"""Notices written directly, without the events that lead to them."""

from feeds.models import User
from notifications.notices.notice import Notice
from notifications.notices.notices import notify


def notify_of_follower(user: User, number: int | str) -> None:
    """Notify a user of a follower called bob; each number is another one."""
    data = {"names": ["bob"], "count": 1}
    notify([Notice(user_id=user.pk, kind="follow", key=f"follow/{number}", data=data)])


def notify_of_posts(user: User, *numbers: int) -> None:
    """Notify a user of posts with these ids, titled T, by bob."""
    for number in numbers:
        data = {"post_id": number, "title": "T", "names": ["bob"], "count": 1}
        notify([Notice(user_id=user.pk, kind="post", key=f"post/{number}", data=data)])
