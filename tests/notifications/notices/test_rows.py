"""The statements of `notify`: how many there are, and that those of PostgreSQL mean what the models say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from feeds.models import User
from notifications.models import Notification, Stream
from notifications.notices.notice import Mode, Notice
from notifications.notices.notices import notify
from tests.support.factories import BlockFactory, MuteFactory, PostFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


def notices_of_post(people: list[int], number: int, *, mode: Mode = Mode.NOTIFY) -> list[Notice]:
    data = {"post_id": number, "title": "T", "actors": [number], "names": ["bob"], "count": 1}
    return [
        Notice(user_id=who, kind="post", key=f"post/{number}", data=data, actor_id=number, mode=mode) for who in people
    ]


def many_people(count: int) -> list[int]:
    names = [f"person{number}" for number in range(count)]
    users = User.objects.bulk_create([User(username=name, username_folded=name) for name in names])
    Stream.objects.bulk_create([Stream(user_id=user.pk) for user in users])
    return [user.pk for user in users]


@pytest.mark.postgres
@pytest.mark.parametrize("count", [1, 1_000])
def test_to_notify_one_or_a_thousand_takes_three_statements(
    count: int, django_assert_num_queries: Callable[..., Any]
) -> None:
    people = many_people(count)
    with django_assert_num_queries(3 + 3):  # BEGIN, the seal and COMMIT
        notify(notices_of_post(people, 1))
    assert Notification.objects.filter(user__in=people, seq=1, data__names=["bob"]).count() == count
    assert Stream.objects.filter(user__in=people, seq=1, unread=1).count() == count


def test_of_a_thousand_those_who_have_no_stream_get_one() -> None:
    people = many_people(20)
    Stream.objects.filter(user__in=people[::2]).delete()
    notify(notices_of_post(people, 1))
    assert Stream.objects.filter(user__in=people, seq=1, unread=1).count() == 20


def test_notices_of_one_call_have_their_own_contents_and_numbers() -> None:
    people = many_people(3)
    before = timezone.now()
    notify([*notices_of_post(people, 2), *notices_of_post(people[:2], 1), *notices_of_post(people[:1], 3)])
    for who, posts in zip(people, ([1, 2, 3], [1, 2], [2]), strict=True):
        rows = list(Notification.objects.filter(user=who).order_by("seq"))
        assert [(row.seq, row.post_id, row.data["post_id"], row.group_key) for row in rows] == [
            (seq, post, post, f"post/{post}") for seq, post in enumerate(posts, 1)
        ]
        assert all(row.created_at == row.updated_at and row.comment_id is None for row in rows)
        assert all(before - dt.timedelta(seconds=1) < row.created_at <= timezone.now() for row in rows)
        stream = Stream.objects.get(user=who)
        assert (stream.seq, stream.unread) == (len(posts), len(posts))


def test_a_silent_notice_is_stored_withdrawn_and_without_words() -> None:
    (who,) = many_people(1)
    notify([*notices_of_post([who], 1, mode=Mode.SILENT), *notices_of_post([who], 2)])
    silent, shown = Notification.objects.filter(user=who).order_by("seq")
    assert silent.withdrawn_at is not None
    assert silent.data == {"post_id": 1, "actors": [1], "count": 1}
    assert shown.withdrawn_at is None
    assert Stream.objects.get(user=who).unread == 1


def test_of_many_only_those_are_left_out_who_hid_the_author_or_left() -> None:
    post = PostFactory()
    blocking, blocked, muting, gone, banned, other = (UserFactory() for _ in range(6))
    BlockFactory(user=blocking, target=post.author)
    BlockFactory(user=post.author, target=blocked)
    MuteFactory(user=muting, target=post.author)
    MuteFactory(user=post.author, target=other)
    User.objects.filter(pk=gone.pk).update(is_active=False, username_folded="deleted-1")
    User.objects.filter(pk=banned.pk).update(is_active=False)
    people = [user.pk for user in (blocking, blocked, muting, gone, banned, other)]
    data = {"post_id": post.pk, "title": "T", "actors": [other.pk], "names": ["o"], "count": 1}
    notify(Notice(user_id=who, kind="mention", key=f"post/{post.pk}", data=data) for who in people)
    told = Notification.objects.filter(user__in=people).values_list("user_id", flat=True)
    assert sorted(told) == [banned.pk, other.pk]
