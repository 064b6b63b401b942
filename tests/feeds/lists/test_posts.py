"""Lists of posts as a viewer reads them, before and after the subscribers have run."""

import datetime as dt
from random import Random

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from events.testing import deliver
from feeds import ranking
from feeds.counts import counting
from feeds.counts.counts import Counts
from feeds.lists.home import list_home_feed
from feeds.lists.pagination import BadCursorError
from feeds.lists.posts import get_post, list_drafts, list_posts, readable_pairs, readable_posts
from feeds.models import EarlierCounts, EntityCounts, Post, User, Vote
from tests.support.factories import (
    BlockFactory,
    CircleFactory,
    CommentFactory,
    MuteFactory,
    PostFactory,
    UserFactory,
    VoteFactory,
)

pytestmark = pytest.mark.django_db

SORTS = ("hot", "new", "top", "controversial")


def published(posts, *, days_ago):
    """Set the time of publication of a post."""
    Post.objects.filter(pk=posts.pk).update(published_at=timezone.now() - dt.timedelta(days=days_ago))
    posts.refresh_from_db()
    return posts


def all_pages(read, *, cursor=None, **options):
    """The ids on all pages from the cursor on, in order."""
    page = read(cursor=cursor, **options)
    ids = [post.pk for post in page.items]
    while page.next_cursor:
        page = read(cursor=page.next_cursor, **options)
        assert page.items
        ids += [post.pk for post in page.items]
    return ids


def titles(page):
    return [post.title for post in page.items]


# Lists


def test_new_lists_the_latest_first():
    first, second, third = (PostFactory() for _ in range(3))
    assert list_posts("new").items == [third, second, first]


def test_top_lists_by_score_and_hot_weighs_age():
    old, young = PostFactory(title="old"), PostFactory(title="young")
    published(old, days_ago=30)
    for _ in range(3):
        VoteFactory(post=old)
    VoteFactory(post=young)
    deliver()
    assert titles(list_posts("top")) == ["old", "young"]
    assert titles(list_posts("hot")) == ["young", "old"]


def test_controversial_lists_by_disagreement():
    agreed, disputed = PostFactory(title="agreed"), PostFactory(title="disputed")
    for _ in range(3):
        VoteFactory(post=agreed)
    VoteFactory(post=disputed)
    VoteFactory(post=disputed, vote_type="down")
    deliver()
    assert titles(list_posts("controversial")) == ["disputed", "agreed"]


@pytest.mark.parametrize("sort", SORTS)
def test_pages_follow_each_other_without_gap_or_double(sort):
    posts = [PostFactory() for _ in range(7)]
    VoteFactory(post=posts[3])
    VoteFactory(post=posts[5])
    VoteFactory(post=posts[5], vote_type="down")
    deliver()
    whole = [post.pk for post in list_posts(sort).items]
    assert sorted(whole) == [post.pk for post in posts]
    assert all_pages(list_posts, sort=sort, size=2) == whole


def rest(sort, page, **options):
    """The ids on all pages after this one."""
    return all_pages(list_posts, sort=sort, cursor=page.next_cursor, **options) if page.next_cursor else []


@pytest.mark.parametrize("sort", ["hot", "top"])
def test_a_post_that_falls_while_one_reads_on_does_not_come_again(sort):
    posts = [PostFactory(title=str(n)) for n in range(8)]
    voters = [UserFactory() for _ in range(3)]
    for post in posts[2:]:
        for voter in voters[:2]:
            VoteFactory(user=voter, post=post)
    deliver()
    first = list_posts(sort, size=3)
    fallen = first.items[1]
    Vote.objects.on("post", fallen.pk).delete()
    for voter in voters:
        VoteFactory(user=voter, post=fallen, vote_type="down")
        deliver()
    assert list_posts(sort, size=8).items[-1] == fallen
    assert [post.pk for post in first.items] + rest(sort, first, size=2) == [
        post.pk for post in posts[:1:-1] + posts[1::-1]
    ]


@pytest.mark.parametrize("sort", SORTS)
def test_a_list_can_be_of_one_circle_or_author_and_of_a_period(sort):
    circle = CircleFactory()
    inside, old = PostFactory(circle=circle), published(PostFactory(circle=circle), days_ago=8)
    PostFactory(author=inside.author)
    PostFactory()
    deliver()
    assert set(list_posts(sort, circle=circle).items) == {inside, old}
    assert list_posts(sort, circle=circle, period="week").items == [inside]
    assert list_posts(sort, circle=circle, author=inside.author).items == [inside]


def test_the_window_of_a_period_stands_still_while_one_reads_on(eventually):
    edge, young = PostFactory(), PostFactory()
    deliver()
    published(edge, days_ago=1 - 1e-5)
    first = list_posts("top", period="day", size=1)
    assert first.items == [young]
    eventually(lambda: list_posts("top", period="day").items == [young])
    assert list_posts("top", period="day", size=1, cursor=first.next_cursor).items == [edge]


@pytest.mark.parametrize("sort", SORTS)
def test_drafts_and_deleted_posts_are_not_listed(sort):
    PostFactory(status="draft")
    PostFactory().delete()
    deliver()
    assert list_posts(sort).items == []


@pytest.mark.parametrize("sort", SORTS)
def test_a_post_deleted_after_it_was_ranked_is_not_listed_even_with_no_worker(sort):
    post = PostFactory()
    deliver()
    post.delete()
    assert list_posts(sort).items == []


@pytest.mark.parametrize("sort", SORTS)
def test_ones_own_fresh_post_is_listed_with_no_worker_running(sort):
    author = UserFactory()
    PostFactory(author=author, title="before")
    deliver()
    PostFactory(author=author, title="fresh")
    assert set(titles(list_posts(sort, viewer=author))) == {"before", "fresh"}
    assert set(titles(list_posts(sort, viewer=author, author=author))) == {"before", "fresh"}
    assert all_pages(list_posts, sort=sort, viewer=author, size=1)


def test_ones_own_fresh_post_stands_where_it_will_stand_once_ranked():
    author = UserFactory()
    published(PostFactory(author=author, title="older"), days_ago=1)
    deliver()
    PostFactory(author=author, title="fresh")
    before = list_posts("hot", viewer=author)
    deliver()
    after = list_posts("hot", viewer=author)
    assert titles(before) == titles(after) == ["fresh", "older"]
    assert [post.hot for post in before.items] == [post.hot for post in after.items]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("who", ["blocked", "blocking", "muted"])
def test_whom_one_blocked_or_muted_is_not_listed(sort, who):
    viewer, post, other = UserFactory(), PostFactory(), PostFactory()
    deliver()
    if who == "blocked":
        BlockFactory(user=viewer, target=post.author)
    elif who == "blocking":
        BlockFactory(user=post.author, target=viewer)
    else:
        MuteFactory(user=viewer, target=post.author)
    assert list_posts(sort, viewer=viewer).items == [other]
    assert len(list_posts(sort, viewer=UserFactory()).items) == 2


def test_a_muted_authors_own_page_can_be_read_and_a_blocked_ones_cannot():
    viewer, muted, blocked = UserFactory(), PostFactory(), PostFactory()
    MuteFactory(user=viewer, target=muted.author)
    BlockFactory(user=viewer, target=blocked.author)
    assert list_posts("new", author=muted.author, viewer=viewer).items == [muted]
    assert list_posts("new", author=blocked.author, viewer=viewer).items == []
    assert get_post(muted.pk, viewer=viewer) == muted
    with pytest.raises(Post.DoesNotExist):
        get_post(blocked.pk, viewer=viewer)


@pytest.mark.parametrize("sort", SORTS)
def test_a_list_takes_a_fixed_number_of_queries(sort, django_assert_num_queries):
    viewer, circle = UserFactory(), CircleFactory()
    for post in [PostFactory(circle=circle) for _ in range(5)]:
        VoteFactory(post=post, user=viewer)
    deliver()
    with django_assert_num_queries(6):
        for post in list_posts(sort).items:
            assert post.author.username
            assert post.circle.slug
    with django_assert_num_queries(7 if sort == "new" else 8):
        for post in list_posts(sort, viewer=viewer).items:
            assert post.circle.slug
            assert post.my_vote == "up"


def test_an_unknown_sort_or_period_is_named():
    with pytest.raises(ValueError, match="sort must be hot, new, top or controversial"):
        list_posts("best")
    with pytest.raises(ValueError, match="period must be day, week, month, year or all"):
        list_posts("top", period="decade")


@pytest.mark.parametrize(
    "cursor", ["", "x", "WyJob3QiLDFd", "é", "AAAA", "bnVsbA", "WyJuZXciLDkyMjMzNzIwMzY4NTQ3NzU4MDcsMV0"]
)
@pytest.mark.parametrize("sort", SORTS)
def test_a_bad_cursor_is_refused(sort, cursor):
    with pytest.raises(BadCursorError, match="leave it out"):
        list_posts(sort, cursor=cursor)


def test_a_cursor_of_another_list_is_refused():
    for _ in range(2):
        PostFactory()
    cursor = list_posts("new", size=1).next_cursor
    with pytest.raises(BadCursorError):
        list_posts("hot", cursor=cursor)
    with pytest.raises(BadCursorError):
        list_home_feed(UserFactory(), cursor=cursor)


# One post, and drafts


def test_a_draft_is_for_its_author_alone():
    draft = PostFactory(status="draft")
    assert get_post(draft.pk, viewer=draft.author) == draft
    assert list_drafts(draft.author).items == [draft]
    for viewer in (None, AnonymousUser(), UserFactory()):
        with pytest.raises(Post.DoesNotExist):
            get_post(draft.pk, viewer=viewer)


def test_a_deleted_post_is_for_nobody():
    post = PostFactory()
    post.delete()
    with pytest.raises(Post.DoesNotExist):
        get_post(post.pk, viewer=post.author)


def test_drafts_are_paged():
    author = UserFactory()
    drafts = [PostFactory(author=author, status="draft") for _ in range(3)]
    assert all_pages(lambda **page: list_drafts(author, **page), size=1) == [draft.pk for draft in reversed(drafts)]


# What the actor sees at once


def test_ones_own_vote_shows_at_once_and_others_see_it_when_it_is_counted():
    post, voter = PostFactory(), UserFactory()
    deliver()
    vote = VoteFactory(post=post, user=voter)
    mine, theirs = get_post(post.pk, viewer=voter), get_post(post.pk, viewer=UserFactory())
    assert (mine.upvotes, mine.score, mine.my_vote) == (1, 1, "up")
    assert (theirs.upvotes, theirs.score, theirs.my_vote) == (0, 0, None)
    deliver()
    assert get_post(post.pk, viewer=voter).score == get_post(post.pk).score == 1
    vote.vote_type = "down"
    vote.save()
    assert get_post(post.pk, viewer=voter).score == -1
    assert get_post(post.pk).score == 1
    vote.delete()
    assert get_post(post.pk, viewer=voter).score == 0
    deliver()
    assert get_post(post.pk).score == 0


def test_ones_own_comment_is_counted_at_once():
    comment = CommentFactory()
    assert get_post(comment.post_id, viewer=comment.author).comment_count == 1
    assert get_post(comment.post_id).comment_count == 0
    deliver()
    assert get_post(comment.post_id).comment_count == 1


def test_ranks_in_the_table_are_those_of_the_formulas_to_the_last_bit():
    posts = [PostFactory() for _ in range(100)]
    dice = Random(7)
    for post in posts:
        published(post, days_ago=dice.uniform(0, 1000))
    counting.add({("post", post.pk): Counts() for post in posts})
    for _ in range(3):
        counting.add({("post", post.pk): Counts(dice.randint(-9, 99), dice.randint(-9, 99)) for post in posts})
    published_at = {("post", post.pk): post.published_at.timestamp() for post in posts}
    rows = [*EntityCounts.objects.all(), *EarlierCounts.objects.all()]
    assert len(rows) == 400
    for row in rows:
        assert row.score == row.upvotes - row.downvotes
        assert row.hot == ranking.hot(row.upvotes, row.downvotes, published_at["post", row.entity_id])
        assert row.controversy == ranking.controversy(row.upvotes, row.downvotes)


def test_pairs_are_readable_as_each_post_is_for_each_user(django_assert_num_queries):
    author, reader, blocked, blocker, muter = (UserFactory() for _ in range(5))
    BlockFactory(user=author, target=blocked)
    BlockFactory(user=blocker, target=author)
    MuteFactory(user=muter, target=author)
    posts = [PostFactory(author=author), PostFactory(author=author, status="draft"), PostFactory(author=author)]
    Post.objects.filter(pk=posts[2].pk).update(deleted_at=timezone.now())
    ids = [*(post.pk for post in posts), PostFactory(author=reader).pk, 2**40]
    pairs = {(user.pk, post_id) for user in (author, reader, blocked, blocker, muter) for post_id in ids}
    with django_assert_num_queries(2):
        found = readable_pairs(pairs)
    assert found == {(user, post) for user, post in pairs if readable_posts(User(pk=user)).filter(pk=post).exists()}
    assert 0 < len(found) < len(pairs)
