"""Posts dated in the future, which a clock or an import made: no list shows them before their time."""

import datetime as dt

import pytest
from django.utils import timezone

from events.testing import deliver
from feeds.lists.home import list_home_feed
from feeds.lists.posts import SORTS, get_post, list_posts
from feeds.models import Post
from feeds.templatetags.feeds import ago
from tests.support.factories import CircleFactory, FollowFactory, PostFactory, VoteFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def future() -> Post:
    """A post of 2099, with one vote more than the post of now."""
    now = PostFactory(title="now", circle=CircleFactory())
    future = PostFactory(
        author=now.author, circle=now.circle, title="future", published_at=dt.datetime(2099, 1, 1, tzinfo=dt.UTC)
    )
    for post in (now, future, future):
        VoteFactory(post=post)
        VoteFactory(post=post, vote_type="down")
    return future


def titles(page) -> list[str]:
    return [post.title for post in page.items]


@pytest.mark.parametrize("sort", SORTS)
def test_no_list_is_headed_by_the_future(sort, future):
    deliver()
    for period in ("all", "day", "year"):
        for more in ({}, {"circle": future.circle}, {"author": future.author}, {"viewer": future.author}):
            assert titles(list_posts(sort, period=period, **more)) == ["now"], (period, more)


@pytest.mark.parametrize("sort", SORTS)
def test_ones_own_post_of_the_future_that_is_not_counted_yet_is_not_listed_either(sort, future):
    assert "future" not in titles(list_posts(sort, viewer=future.author))


@pytest.mark.parametrize("sort", SORTS)
def test_no_later_page_shows_the_future(sort, future):
    PostFactory.create_batch(3, author=future.author)
    deliver()
    seen, cursor = [], None
    while True:
        page = list_posts(sort, size=1, cursor=cursor)
        seen += titles(page)
        if (cursor := page.next_cursor) is None:
            break
    assert len(seen) == 4
    assert "future" not in seen


@pytest.mark.parametrize("threshold", [0, 100])
def test_no_home_feed_is_headed_by_the_future(future, threshold, settings):
    settings.FANOUT_THRESHOLD = threshold
    reader = FollowFactory(followee=future.author).follower
    deliver()
    assert titles(list_home_feed(reader)) == ["now"]
    assert titles(list_home_feed(future.author)) == ["now"]


def test_a_post_of_the_future_is_listed_when_its_time_has_come(future):
    deliver()
    Post.objects.filter(pk=future.pk).update(published_at=timezone.now())
    assert titles(list_posts("new")) == ["future", "now"]


def test_clocks_of_servers_may_differ_by_some_seconds():
    Post.objects.filter(pk=PostFactory(title="ahead").pk).update(published_at=timezone.now() + dt.timedelta(seconds=20))
    assert titles(list_posts("new")) == ["ahead"]


def test_a_date_in_the_future_is_shown_as_a_date(future):
    assert ago(get_post(future.pk).published_at) == "Jan. 1, 2099"
    assert ago(timezone.now()) == ago(timezone.now() + dt.timedelta(seconds=20)) == "just now"
