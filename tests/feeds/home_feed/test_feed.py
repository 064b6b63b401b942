"""Feeds: their contents before and after the subscribers have run."""

import datetime as dt

import pytest
from django.utils import timezone

from events.testing import deliver
from feeds.home_feed import fanout
from feeds.home_feed.fanout import BACKFILL_POSTS
from feeds.home_feed.trimming import FEED_LENGTH, trim
from feeds.lists.home import list_home_feed
from feeds.models import FeedEntry, Follow, Post, PulledPost, User
from tests.support.factories import (
    BlockFactory,
    CircleFactory,
    FollowFactory,
    MembershipFactory,
    MuteFactory,
    PostFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def test_the_feed_has_the_followed_the_circles_and_oneself():
    reader, circle = UserFactory(), CircleFactory()
    followed = FollowFactory(follower=reader).followee
    MembershipFactory(user=reader, circle=circle)
    theirs, inside = PostFactory(author=followed), PostFactory(circle=circle)
    PostFactory()
    deliver()
    mine = PostFactory(author=reader)
    assert list_home_feed(reader).items == [mine, inside, theirs]


def test_a_post_of_a_followed_author_in_ones_circle_comes_once():
    membership = MembershipFactory()
    author = FollowFactory(follower=membership.user).followee
    post = PostFactory(author=author, circle=membership.circle)
    deliver(times=2)
    assert list_home_feed(membership.user).items == [post]
    assert FeedEntry.objects.filter(user=membership.user).count() == 1


def test_ones_own_post_is_in_ones_feed_with_no_worker_running():
    post = PostFactory()
    assert list_home_feed(post.author).items == [post]


def test_the_feed_is_paged_across_all_its_sources(settings):
    settings.FANOUT_THRESHOLD = 1
    reader = UserFactory()
    small, large = (FollowFactory(follower=reader).followee for _ in range(2))
    FollowFactory(followee=large)
    posts = [PostFactory(author=author) for author in (small, large, reader) * 3]
    deliver()
    assert PulledPost.objects.count() == 3
    read, page = [], list_home_feed(reader, size=2)
    while page.next_cursor:
        read += page.items
        page = list_home_feed(reader, size=2, cursor=page.next_cursor)
    assert read + page.items == posts[::-1]


def test_deleted_blocked_muted_and_unfollowed_authors_leave_the_feed_at_once():
    reader = UserFactory()
    follows = [FollowFactory(follower=reader) for _ in range(5)]
    deleted, blocked, muted, unfollowed, kept = (PostFactory(author=follow.followee) for follow in follows)
    deliver()
    assert len(list_home_feed(reader).items) == 5
    deleted.delete()
    BlockFactory(user=reader, target=blocked.author)
    MuteFactory(user=reader, target=muted.author)
    Follow.objects.get(follower=reader, followee=unfollowed.author).delete()
    assert list_home_feed(reader).items == [kept]


def test_following_brings_the_newest_posts_and_unfollowing_takes_them_away():
    author, reader = UserFactory(), UserFactory()
    posts = [PostFactory(author=author) for _ in range(3)]
    deliver()
    follow = FollowFactory(follower=reader, followee=author)
    deliver()
    assert list_home_feed(reader).items == posts[::-1]
    follow.delete()
    deliver()
    assert not FeedEntry.objects.filter(user=reader).exists()


def test_a_feed_that_was_not_kept_for_long_absence_is_built_on_return():
    follow = FollowFactory()
    deliver()
    long_ago = timezone.now() - dt.timedelta(days=8)
    User.objects.filter(pk=follow.follower_id).update(last_seen_at=long_ago)
    post = PostFactory(author=follow.followee)
    deliver()
    assert not FeedEntry.objects.exists()
    reader = User.objects.get(pk=follow.follower_id)
    assert list_home_feed(reader).items == [post]
    assert FeedEntry.objects.filter(user=reader, post=post).exists()
    later = PostFactory(author=follow.followee)
    deliver()
    assert list_home_feed(User.objects.get(pk=reader.pk)).items == [later, post]


def test_a_feed_that_is_built_on_return_has_no_gap_above_what_was_left_in_it():
    long_ago = timezone.now() - dt.timedelta(days=8)
    follow = FollowFactory(follower__last_seen_at=long_ago)
    deliver()
    posts = Post.objects.bulk_create(
        Post(author=follow.followee, title=str(n), published_at=timezone.now() - dt.timedelta(hours=n))
        for n in range(FEED_LENGTH + 300)
    )
    FeedEntry.objects.bulk_create(
        FeedEntry(user=follow.follower, post=post, author_id=post.author_id, published_at=post.published_at)
        for post in posts[FEED_LENGTH:]
    )
    list_home_feed(follow.follower)
    kept = FeedEntry.objects.order_by("-published_at").values_list("post_id", flat=True)
    assert list(kept) == [post.pk for post in posts[:FEED_LENGTH]]


@pytest.mark.parametrize("listed", [fanout.MAX_LISTED_IDS, 1])
def test_a_feed_is_built_on_return_of_all_sources_however_many(listed, monkeypatch):
    monkeypatch.setattr(fanout, "MAX_LISTED_IDS", listed)
    reader = UserFactory(last_seen_at=timezone.now() - dt.timedelta(days=8))
    authors = [FollowFactory(follower=reader).followee for _ in range(2)]
    circles = [MembershipFactory(user=reader).circle for _ in range(2)]
    posts = [PostFactory(author=author) for author in authors] + [PostFactory(circle=circle) for circle in circles]
    PostFactory()
    assert list_home_feed(reader).items == posts[::-1]


def test_who_follows_nobody_finds_an_empty_feed_on_return():
    PostFactory(circle=CircleFactory())
    assert list_home_feed(UserFactory(last_seen_at=timezone.now() - dt.timedelta(days=8))).items == []


def test_a_large_audience_is_merged_at_read_and_not_fanned_out(settings):
    settings.FANOUT_THRESHOLD = 2
    author = UserFactory()
    readers = [FollowFactory(followee=author).follower for _ in range(3)]
    deliver()
    post = PostFactory(author=author)
    deliver()
    assert not FeedEntry.objects.exists()
    assert all(list_home_feed(reader).items == [post] for reader in readers)
    assert list_home_feed(UserFactory()).items == []


def test_an_author_who_crosses_the_threshold_leaves_no_gap_and_no_double(settings):
    settings.FANOUT_THRESHOLD = 1
    follow = FollowFactory()
    before = PostFactory(author=follow.followee)
    deliver()
    second = FollowFactory(followee=follow.followee)
    after = PostFactory(author=follow.followee)
    deliver()
    for reader in (follow.follower, second.follower):
        assert list_home_feed(reader).items == [after, before]


def test_a_post_that_is_moved_to_a_small_circle_is_still_merged_in_for_who_joins_later(settings):
    settings.FANOUT_THRESHOLD = 3
    large, small = CircleFactory(), CircleFactory()
    members = [MembershipFactory(circle=large).user for _ in range(4)]
    follow = FollowFactory()
    deliver()
    post = PostFactory(author=follow.followee, circle=large)
    deliver()
    before = MembershipFactory(circle=small).user
    post.circle = small
    post.save()
    deliver()
    after = MembershipFactory(circle=small).user
    later = FollowFactory(followee=post.author).follower
    deliver()
    assert PulledPost.objects.get().circle_id == small.pk
    assert not FeedEntry.objects.exists()
    for reader in (small.owner, before, after, follow.follower, later):
        assert list_home_feed(reader).items == [post]
    assert list_home_feed(members[0]).items == []
    post.circle = None
    post.save()
    deliver()
    assert list_home_feed(after).items == []
    assert list_home_feed(later).items == [post]


def test_a_post_that_is_moved_to_a_large_circle_is_shown_once_to_whose_feed_it_was_in(settings):
    settings.FANOUT_THRESHOLD = 3
    large, small = CircleFactory(), CircleFactory()
    members = [MembershipFactory(circle=large).user for _ in range(4)]
    both = MembershipFactory(circle=small, user=members[0]).user
    post = PostFactory(circle=small)
    follow = FollowFactory(followee=post.author)
    deliver()
    assert FeedEntry.objects.filter(user=both).exists()
    for circle in (large, small):
        post.circle = circle
        post.save()
        deliver()
        for size in (1, 20):
            page = list_home_feed(both, size=size)
            assert page.items == [post]
            assert page.next_cursor is None
        assert list_home_feed(follow.follower).items == [post]
    assert list_home_feed(members[1]).items == []


def test_a_feed_takes_a_fixed_number_of_queries(django_assert_num_queries):
    follow = FollowFactory()
    circle = CircleFactory()
    for _ in range(5):
        PostFactory(author=follow.followee, circle=circle)
    deliver()
    with django_assert_num_queries(9):
        for post in list_home_feed(follow.follower).items:
            assert post.author.username
            assert post.circle.slug


def test_a_feed_keeps_its_newest_entries():
    follow = FollowFactory()
    posts = Post.objects.bulk_create(
        Post(author=follow.followee, title=str(n), published_at=timezone.now() - dt.timedelta(hours=1 + n))
        for n in range(FEED_LENGTH + 2)
    )
    FeedEntry.objects.bulk_create(
        FeedEntry(user=follow.follower, post=post, author_id=post.author_id, published_at=post.published_at)
        for post in posts
    )
    newest = PostFactory(author=follow.followee)
    deliver()
    assert FeedEntry.objects.filter(user=follow.follower).count() == FEED_LENGTH
    assert list_home_feed(follow.follower, size=1).items == [newest]


def test_of_entries_of_one_moment_the_newest_posts_are_kept():
    follow, now = FollowFactory(), timezone.now()
    posts = Post.objects.bulk_create(
        Post(author=follow.followee, title=str(n), published_at=now) for n in range(FEED_LENGTH + 2)
    )
    FeedEntry.objects.bulk_create(
        FeedEntry(user=follow.follower, post=post, author_id=post.author_id, published_at=now) for post in posts
    )
    trim([follow.follower_id])
    kept = FeedEntry.objects.order_by("post").values_list("post_id", flat=True)
    assert list(kept) == [post.pk for post in posts[2:]]


def test_following_backfills_no_more_than_a_hundred():
    author = UserFactory()
    Post.objects.bulk_create(
        Post(author=author, title=str(n), published_at=timezone.now() - dt.timedelta(hours=n))
        for n in range(BACKFILL_POSTS + 5)
    )
    follow = FollowFactory(followee=author)
    deliver()
    assert FeedEntry.objects.filter(user=follow.follower).count() == BACKFILL_POSTS
    assert [post.title for post in list_home_feed(follow.follower, size=2).items] == ["0", "1"]


@pytest.mark.django_db(transaction=True)
def test_reading_the_feed_is_being_here(eventually):
    reader = UserFactory(last_seen_at=timezone.now() - dt.timedelta(hours=1))
    list_home_feed(reader)
    eventually(lambda: timezone.now() - User.objects.get().last_seen_at < dt.timedelta(minutes=1))
