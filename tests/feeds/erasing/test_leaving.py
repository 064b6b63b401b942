"""Leaving: follows, memberships and circles of a person who leaves end, however many there are, each with its event."""

import time
from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from events.models import OutboxMessage, StoredEvent
from events.testing import deliver
from feeds import actions
from feeds.erasing import leaving
from feeds.models import Circle, FeedEntry, Follow, Membership, User
from feeds.models.users import ENDED_AT_ONCE
from notifications.models import Notification
from tests.feeds.erasing.test_texts import dead_letters_of_apps
from tests.support.factories import CircleFactory, FollowFactory, MembershipFactory, PostFactory, UserFactory

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse 1"


def ended(topic: str) -> int:
    return StoredEvent.objects.filter(topic=topic).count()


def people(count: int) -> list[int]:
    """The ids of so many new people, made by one statement."""
    first = User.objects.count()
    names = [f"many{first + number}" for number in range(count)]
    User.objects.bulk_create([User(username=name, username_folded=name) for name in names], batch_size=2_000)
    return list(User.objects.filter(username__in=names).values_list("pk", flat=True))


def bind(user: User, others: list[int]) -> None:
    """Let a user and these people follow each other; as an import does, without events."""
    pairs = [pair for other in others for pair in ((user.pk, other), (other, user.pk))]
    Follow.objects.bulk_create([Follow(follower_id=one, followee_id=two) for one, two in pairs], batch_size=2_000)


def queries_of_leaving(user: User, client: Client) -> int:
    client.force_login(user)
    with CaptureQueriesContext(connection) as queries:
        answer = client.delete("/api/me", {"current_password": PASSWORD}, content_type="application/json")
    assert answer.status_code == 204, answer.content
    return len(queries)


def test_a_few_follows_end_in_the_request() -> None:
    user = UserFactory()
    FollowFactory(follower=user)
    FollowFactory(followee=user)
    MembershipFactory(user=user)
    actions.delete_account(user)
    assert not Follow.objects.exists()
    assert not Membership.objects.filter(user=user).exists()
    assert not StoredEvent.objects.filter(topic="feed.leaving_continued").exists()


def test_many_follows_end_in_chunks_each_with_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "ROWS_PER_CHUNK", 20)
    monkeypatch.setattr(leaving, "CIRCLES_PER_CHUNK", 2)
    user, heir, total = UserFactory(), UserFactory(), ENDED_AT_ONCE + 30
    circles = [MembershipFactory(user=heir, circle__owner=user).circle.pk for _ in range(total)]
    left_alone = [CircleFactory(owner=user).pk for _ in range(3)]
    bind(user, people(total))
    stranger = FollowFactory()
    PostFactory(author_id=Follow.objects.filter(follower=user).latest("pk").followee_id)
    deliver()
    assert FeedEntry.objects.filter(user=user).exists()
    actions.delete_account(user)
    assert Follow.objects.exclude(pk=stranger.pk).count() == 2 * 30, "the rest is not for the request"
    deliver()
    assert list(Follow.objects.all()) == [stranger]
    assert ended("user.unfollowed") == 2 * total
    data = StoredEvent.objects.filter(topic="user.unfollowed").values_list("data", flat=True)
    assert len({(one["follower_id"], one["followee_id"]) for one in data}) == 2 * total, "each once"
    assert ended("circle.left") == total + len(left_alone)
    assert set(Circle.objects.filter(owner=heir).values_list("pk", flat=True)) == set(circles)
    assert set(Circle.objects.filter(owner=user).values_list("pk", flat=True)) == set(left_alone)
    assert not FeedEntry.objects.filter(user=user).exists()
    assert not Notification.objects.filter(user=user).exists()
    assert not OutboxMessage.objects.exists()
    assert dead_letters_of_apps() == []


def test_a_chunk_that_fails_ends_nothing_and_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "ROWS_PER_CHUNK", 20)
    user = UserFactory()
    bind(user, people(ENDED_AT_ONCE + 30))
    actions.delete_account(user)
    before = Follow.objects.count(), ended("user.unfollowed")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        leaving.end_next(user.pk)
        raise ZeroDivisionError
    assert (Follow.objects.count(), ended("user.unfollowed")) == before
    deliver(times=2)
    assert not Follow.objects.exists()
    assert ended("user.unfollowed") == 2 * (ENDED_AT_ONCE + 30)


def test_a_follow_that_was_committed_meanwhile_ends_as_well() -> None:
    user = UserFactory()
    bind(user, people(ENDED_AT_ONCE + 5))
    actions.delete_account(user)
    FollowFactory(followee=user)
    deliver()
    assert not Follow.objects.exists()


def test_the_request_of_who_leaves_costs_the_same_with_any_number_of_follows(client: Client) -> None:
    counted = []
    for total in (ENDED_AT_ONCE + 1, 4 * ENDED_AT_ONCE):
        user = actions.register(username=f"leaver{total}", password=PASSWORD)
        bind(user, people(total))
        counted.append(queries_of_leaving(user, client))
    assert counted[1] <= counted[0], "the first one fills caches"


@pytest.mark.slow
@pytest.mark.postgres
def test_a_person_with_twenty_thousand_follows_both_ways_leaves_within_seconds(
    client: Client, record_property: Callable[[str, object], None]
) -> None:
    user = actions.register(username="popular", password=PASSWORD)
    bind(user, people(20_000))
    began = time.monotonic()
    queries_of_leaving(user, client)
    record_property("seconds", round(time.monotonic() - began, 2))
    assert time.monotonic() - began < 10
    chunks, longest = 0, 0.0
    while True:
        began = time.monotonic()
        with transaction.atomic():
            more = leaving.end_next(user.pk)
        chunks, longest = chunks + 1, max(longest, time.monotonic() - began)
        if not more:
            break
    record_property("chunks", chunks)
    assert longest < 10, "seconds of one chunk"
    assert not Follow.objects.exists()
    assert ended("user.unfollowed") == 40_000
