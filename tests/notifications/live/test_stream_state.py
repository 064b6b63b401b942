"""What sockets read from the database, for many of them at once."""

from __future__ import annotations

import json

import pytest
from pytest_django import DjangoAssertNumQueries

from notifications.live import stream_state
from notifications.live.stream_state import Since, read_changes
from notifications.models import Stream
from tests.notifications.direct import notify_of_follower
from tests.support.factories import UserFactory

pytestmark = pytest.mark.django_db


def seqs(notes: object) -> list[int]:
    return [json.loads(text)["seq"] for text in notes]  # type: ignore[attr-defined]


def test_those_who_are_behind_are_read_with_a_few_statements(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    users = [UserFactory() for _ in range(20)]
    for number in (1, 2, 3):
        for user in users:
            notify_of_follower(user, number)
    asked = [Since(user.pk, place % 4, "en") for place, user in enumerate(users)]
    with django_assert_num_queries(2):
        states = read_changes(asked)
    assert [seqs(states[one].notes) for one in asked] == [list(range(one.after or 0, 3 + 1))[1:] for one in asked]
    assert {(states[one].seq, states[one].unread) for one in asked} == {(3, 3)}


def test_two_tabs_of_a_user_get_what_each_lacks_in_its_language() -> None:
    user = UserFactory()
    for number in (1, 2, 3):
        notify_of_follower(user, number)
    first, second, new = Since(user.pk, 0, "en"), Since(user.pk, 2, "zh-hans"), Since(user.pk, None, "en")
    states = read_changes([first, second, new])
    assert [seqs(states[one].notes) for one in (first, second, new)] == [[1, 2, 3], [3], []]
    assert json.loads(states[second].notes[0])["text"] == "bob 关注了你"


def test_who_has_no_stream_gets_one() -> None:
    users = [UserFactory() for _ in range(3)]
    Stream.objects.filter(user__in=users).delete()
    asked = [Since(user.pk, 0, "en") for user in users]
    states = read_changes(asked)
    assert {states[one].epoch for one in asked} == set(
        Stream.objects.filter(user__in=users).values_list("epoch", flat=True)
    )


def test_who_lacks_too_many_reloads_and_the_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_state, "BACKFILL", 2)
    far, near = UserFactory(), UserFactory()
    for number in (1, 2, 3):
        notify_of_follower(far, number)
    notify_of_follower(near, 1)
    asked = [Since(far.pk, 0, "en"), Since(far.pk, 1, "en"), Since(near.pk, 0, "en")]
    states = read_changes(asked)
    assert [(states[one].too_many, seqs(states[one].notes)) for one in asked] == [
        (True, []),
        (False, [2, 3]),
        (False, [1]),
    ]
