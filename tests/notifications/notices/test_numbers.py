"""The numbers of a stream when several threads write at the same time."""

import random
from functools import partial

import pytest

from events.testing import deliver
from notifications.models import Notification, Stream
from notifications.notices.notice import Notice
from notifications.notices.notices import mark_read, notify, withdraw
from tests.support.at_once import at_once
from tests.support.factories import PostFactory, UserFactory, VoteFactory

pytestmark = pytest.mark.django_db(transaction=True)


def assert_sound(user):
    """Numbers are unique, the highest is the stream's, and the stream counts the unread notices."""
    rows = Notification.objects.filter(user=user)
    taken = list(rows.values_list("seq", flat=True))
    stream = Stream.objects.get(user=user)
    assert len(set(taken)) == len(taken)
    assert max(taken) == stream.seq
    assert stream.unread == rows.unread().count()


def test_eight_writers_at_once_leave_no_hole_and_no_double():
    user = UserFactory()

    def write(part):
        for number in range(25):
            notify([Notice(user_id=user.pk, kind="follow", key=f"follow/{part}/{number}", data={"names": ["a"]})])

    at_once(*(partial(write, part) for part in range(8)))
    taken = Notification.objects.filter(user=user).order_by("seq").values_list("seq", flat=True)
    assert list(taken) == list(range(1, 201))
    assert_sound(user)


def test_eight_writers_to_many_users_in_any_order_do_not_lock_each_other_out():
    users = [UserFactory() for _ in range(6)]

    def write(part):
        dice = random.Random(part)
        for number in range(10):
            dice.shuffle(people := list(users))
            key = f"post/{part}/{number}"
            data = {"post_id": part, "names": ["a"]}
            notify(Notice(user_id=user.pk, kind="post", key=key, data=data) for user in people)
            if number % 3 == 0:
                withdraw(post_ids=[part])
            mark_read(dice.choice(users).pk, upto=dice.randrange(60))

    at_once(*(partial(write, part) for part in range(8)))
    for user in users:
        assert_sound(user)


def test_the_same_notice_from_several_threads_at_once_is_one():
    user = UserFactory()
    notice = Notice(user_id=user.pk, kind="follow", key="follow/1", data={"names": ["a"]})
    at_once(*[partial(notify, [notice])] * 6)
    assert Notification.objects.filter(user=user).count() == 1
    assert Stream.objects.get(user=user).seq == 1


def test_votes_delivered_by_several_workers_add_up():
    posts = [PostFactory() for _ in range(3)]
    for post in posts:
        for _ in range(5):
            VoteFactory(post=post)
    at_once(*[deliver] * 4)
    for post in posts:
        assert Notification.objects.get(user=post.author, kind="vote").data["count"] == 5
        assert_sound(post.author)
