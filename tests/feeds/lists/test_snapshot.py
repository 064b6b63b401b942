"""Snapshots: the later pages of a list or thread keep the order of the first page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from events.testing import deliver
from feeds.counts import counting
from feeds.counts.counts import Counts
from feeds.counts.recount import recount
from feeds.lists.pagination import BadCursorError, Page, cursor_after, cursor_key
from feeds.lists.posts import list_posts
from feeds.lists.snapshot import Snapshot
from feeds.lists.threads import list_comments
from feeds.models import Comment, EarlierCounts, EntityCounts, Post, Vote
from tests.support.factories import CircleFactory, CommentFactory, PostFactory, UserFactory, VoteFactory

# Each count commits, as in a subscriber; within one transaction a snapshot would contain all changes.
pytestmark = pytest.mark.django_db(transaction=True)

SORTS = ("hot", "top", "controversial")
#: Without the phase that looks for the smallest failing example: it takes minutes.
EXAMPLES = settings(phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
NUMBERS_OF_EXAMPLES = [5, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
#: A page size above the length of every list here.
ALL = 100

numbers = st.integers(-3, 3)


def count(row: Post | Comment, *, up: int = 0, down: int = 0) -> None:
    """Add votes to the counts of a row, in a transaction."""
    with transaction.atomic():
        counting.add({("post" if isinstance(row, Post) else "comment", row.pk): Counts(upvotes=up, downvotes=down)})


def ids(page: Page[Any]) -> list[int]:
    return [row.pk for row in page.items]


def read_on(
    read: Callable[..., Page[Any]], page: Page[Any], *, meanwhile: Callable[[], None] = lambda: None
) -> list[int]:
    """The ids on all pages after this one. `meanwhile` is called before each."""
    found = []
    while page.next_cursor:
        meanwhile()
        page = read(cursor=page.next_cursor)
        found += ids(page)
    return found


# Lists


def check(examples: int, holds: Callable[..., None], *arguments: Any) -> None:
    """Call `holds` with the arguments and what hypothesis draws from, for each example."""

    @settings(EXAMPLES, max_examples=examples)
    @given(data=st.data())
    def one_example(data):
        holds(*arguments, data)

    one_example()


@pytest.mark.parametrize("period", ["all", "week"])
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("examples", NUMBERS_OF_EXAMPLES)
def test_a_list_is_read_on_as_it_was_whatever_is_voted_written_and_deleted(sort, period, examples):
    check(examples, a_list_is_read_on_as_it_was, sort, period)


def a_list_is_read_on_as_it_was(sort, period, data):
    author, circle = UserFactory(), CircleFactory()

    def a_post() -> Post:
        post = PostFactory(author=author, circle=circle)
        post.published_at = timezone.now() - dt.timedelta(seconds=data.draw(st.integers(0, 10 * 86400)))
        Post.objects.filter(pk=post.pk).update(published_at=post.published_at)
        return post

    def votes(post: Post) -> None:
        count(post, up=data.draw(numbers), down=data.draw(numbers))

    def something() -> None:
        for what in data.draw(st.lists(st.sampled_from(["vote", "vote", "vote", "write", "delete"]), max_size=5)):
            if what == "write":
                posts.append(a_post())
            elif what == "vote":
                votes(data.draw(st.sampled_from(posts)))
            else:
                post = data.draw(st.sampled_from(posts))
                post.delete()
                deleted.add(post.pk)

    def read(**options: Any) -> Page[Post]:
        return list_posts(sort, period=period, circle=circle, viewer=viewer, **{"size": 2} | options)

    # The author also sees own posts that no subscriber has ranked yet.
    viewer = data.draw(st.sampled_from([None, author]))
    posts, deleted = [a_post() for _ in range(9)], set()
    for post in data.draw(st.lists(st.sampled_from(posts), max_size=14)):
        votes(post)
    for post in posts[:4]:
        count(post)
    whole = ids(read(size=ALL))
    first = read()
    found = ids(first) + read_on(read, first, meanwhile=something)
    assert len(found) == len(set(found))
    assert [pk for pk in found if pk in whole] == [pk for pk in whole if pk in found or pk not in deleted]


@pytest.mark.parametrize("sort", SORTS)
def test_what_rises_past_the_reader_and_what_falls_stays_where_it_was(sort):
    posts = [PostFactory() for _ in range(6)]
    for post in posts:
        count(post, up=2, down=2)
    first = list_posts(sort, size=2)
    assert ids(first) == [posts[5].pk, posts[4].pk]
    count(posts[0], up=9, down=9)
    count(posts[0], up=90, down=1)
    count(posts[3], up=-2, down=9)
    count(posts[5], up=-2, down=5)
    following = read_on(lambda cursor: list_posts(sort, size=2, cursor=cursor), first)
    assert following == [post.pk for post in posts[3::-1]]


@pytest.mark.parametrize("sort", SORTS)
def test_what_a_recount_puts_right_while_one_reads_on_stays_where_it_was(sort):
    posts = [PostFactory() for _ in range(4)]
    for post in posts:
        count(post, up=2, down=2)
    first = list_posts(sort, size=2)
    assert len(recount()) == 4
    assert set(EntityCounts.objects.values_list("upvotes", "downvotes")) == {(0, 0)}
    VoteFactory(post=posts[3])
    deliver()
    assert read_on(lambda cursor: list_posts(sort, size=2, cursor=cursor), first) == [posts[1].pk, posts[0].pk]


@pytest.mark.parametrize("sort", SORTS)
def test_a_post_that_was_not_ranked_yet_does_not_come_again_once_it_is(sort):
    author = UserFactory()
    posts = [PostFactory(author=author) for _ in range(3)]
    first = list_posts(sort, viewer=author, size=2)
    assert ids(first) == [posts[2].pk, posts[1].pk]
    count(posts[2], down=1)
    count(posts[0], up=1)
    assert read_on(lambda cursor: list_posts(sort, viewer=author, cursor=cursor), first) == [posts[0].pk]


@contextmanager
def another_counting(post: Post) -> Iterator[None]:
    """Inside the block a transaction on another connection has counted votes; it commits at the end of the block."""
    counted, done = Event(), Event()

    def count_slowly() -> None:
        try:
            with transaction.atomic():
                counting.add({("post", post.pk): Counts(upvotes=5)})
                counted.set()
                assert done.wait(30)
        finally:
            counted.set()
            connection.close()

    with ThreadPoolExecutor(1) as other:
        counts = other.submit(count_slowly)
        try:
            assert counted.wait(30)
            yield
        finally:
            done.set()
            counts.result(30)


@pytest.mark.postgres
@pytest.mark.parametrize("others", ["none", "a younger one", "an older one"])
@pytest.mark.parametrize("sort", ["hot", "top"])
def test_a_vote_that_was_being_counted_when_reading_began_is_of_later(sort, others):
    beside, *posts = [PostFactory() for _ in range(5)]
    for post in posts:
        count(post, up=2)

    def read(**options: Any) -> Page[Post]:
        return list_posts(sort, **{"size": 2} | options)

    with ExitStack() as stack:
        if others == "an older one":
            with transaction.atomic():
                counting.add({("post", beside.pk): Counts(downvotes=1)})
                stack.enter_context(another_counting(posts[0]))
                counting.add({("post", beside.pk): Counts(downvotes=1)})
        else:
            stack.enter_context(another_counting(posts[0]))
        if others == "a younger one":
            count(beside, down=1)
        first = read()
    assert EntityCounts.objects.get(entity_type="post", entity_id=posts[0].pk).upvotes == 7
    assert ids(first) == [posts[3].pk, posts[2].pk]
    assert read_on(read, first)[:2] == [posts[1].pk, posts[0].pk]
    assert ids(read())[0] == posts[0].pk


@pytest.mark.postgres
def test_one_who_had_to_wait_for_a_row_writes_down_what_it_found_then():
    post = PostFactory()
    count(post, up=1)

    def count_more() -> None:
        try:
            count(post, up=10)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as another:
        with another_counting(post), connection.cursor() as cursor:
            waits = another.submit(count_more)
            waiting = False
            while not waiting and not waits.done():
                cursor.execute(
                    "SELECT count(*) > 0 FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                (waiting,) = cursor.fetchone()
            assert not waits.done()
        waits.result(30)
    earlier = EarlierCounts.objects.filter(entity_id=post.pk).order_by("pk")
    assert list(earlier.values_list("upvotes", "score")) == [(0, 0), (1, 1), (6, 6)]


@pytest.mark.parametrize("sort", SORTS)
def test_what_is_read_in_the_transaction_that_counts_goes_on_likewise(sort):
    posts = [PostFactory() for _ in range(5)]
    with transaction.atomic():
        for post in posts:
            counting.add({("post", post.pk): Counts(upvotes=2, downvotes=2)})
        whole = ids(list_posts(sort))
        first = list_posts(sort, size=2)
        counting.add({("post", posts[0].pk): Counts(upvotes=9, downvotes=8)})
        counting.add({("post", posts[4].pk): Counts(upvotes=-2, downvotes=5)})
        assert ids(first) + read_on(lambda cursor: list_posts(sort, size=2, cursor=cursor), first) == whole


@pytest.mark.parametrize("sort", SORTS)
def test_the_pages_that_follow_take_one_query_more_once_something_changed(sort, django_assert_num_queries):
    viewer, circle = UserFactory(), CircleFactory()
    for post in [PostFactory(circle=circle) for _ in range(5)]:
        count(post, up=1)
    first = list_posts(sort, size=1)
    for more in (0, 1):
        with django_assert_num_queries(6 + more):
            assert list_posts(sort, size=3, cursor=first.next_cursor).next_cursor
        with django_assert_num_queries(8 + more):
            assert list_posts(sort, size=3, cursor=first.next_cursor, viewer=viewer).next_cursor
        count(post, up=1)


# Threads


@pytest.mark.parametrize("examples", NUMBERS_OF_EXAMPLES)
def test_a_thread_is_read_on_as_it_was_whatever_is_voted_written_and_deleted(examples):
    check(examples, a_thread_is_read_on_as_it_was)


def a_thread_is_read_on_as_it_was(data):
    post, viewer = PostFactory(), UserFactory()
    comments, deleted = [], set()

    def a_comment() -> None:
        parent = data.draw(st.sampled_from([None, None, *comments]))
        author = data.draw(st.sampled_from([viewer, None])) or UserFactory()
        comments.append(CommentFactory(post=post, parent=parent, author=author))

    def something() -> None:
        for what in data.draw(
            st.lists(st.sampled_from(["count", "count", "vote", "deliver", "write", "delete"]), max_size=5)
        ):
            comment = data.draw(st.sampled_from(comments))
            if what == "write":
                a_comment()
            elif what == "count":
                count(comment, up=data.draw(st.integers(0, 3)), down=data.draw(st.integers(0, 3)))
            elif what == "vote":
                # A vote by the viewer, which shows before it is counted.
                own = Vote.objects.filter(user=viewer, entity_type="comment", entity_id=comment.pk).first()
                own = own or Vote(user=viewer, entity_type="comment", entity_id=comment.pk)
                own.vote_type = data.draw(st.sampled_from(["up", "down"]))
                own.save()
            elif what == "deliver":
                deliver()
            else:
                comment.delete()
                deleted.add(comment.pk)

    def read(**options: Any) -> Page[Comment]:
        return list_comments(post, viewer=viewer, **{"size": 2} | options)

    for _ in range(8):
        a_comment()
    something()
    whole = ids(read(size=ALL))
    deleted.clear()
    first = read()
    found = ids(first) + read_on(read, first, meanwhile=something)
    assert len(found) == len(set(found))
    assert [pk for pk in found if pk in whole] == [pk for pk in whole if pk in found or pk not in deleted]


def test_votes_do_not_move_comments_across_the_end_of_a_page():
    post = PostFactory()
    comments = [CommentFactory(post=post) for _ in range(4)]
    first = list_comments(post, size=2)
    for _ in range(2):
        count(comments[3], up=9)
    count(comments[0], down=9)
    assert ids(list_comments(post))[0] == comments[3].pk
    assert read_on(lambda cursor: list_comments(post, cursor=cursor), first) == [comments[2].pk, comments[3].pk]


def test_ones_own_vote_moves_nothing_when_it_is_counted_while_one_reads_on():
    post, viewer = PostFactory(), UserFactory()
    comments = [CommentFactory(post=post) for _ in range(4)]
    VoteFactory(comment=comments[2], user=viewer)

    def read(**options: Any) -> Page[Comment]:
        return list_comments(post, viewer=viewer, **options)

    first = read(size=2)
    assert ids(first) == [comments[2].pk, comments[0].pk]
    deliver()
    page = read(cursor=first.next_cursor)
    assert ids(page) == [comments[1].pk, comments[3].pk]
    VoteFactory(comment=comments[3], user=viewer)
    page = read(cursor=first.next_cursor)
    assert ids(page) == [comments[1].pk, comments[3].pk]
    assert [comment.score for comment in page.items] == [0, 1]


def test_a_thread_goes_on_below_a_comment_that_was_deleted_meanwhile():
    post = PostFactory()
    comments = [CommentFactory(post=post) for _ in range(5)]
    first = list_comments(post, size=2)
    for comment in comments[:2]:
        comment.delete()
    assert read_on(lambda cursor: list_comments(post, cursor=cursor), first) == [row.pk for row in comments[2:]]


def test_a_thread_of_several_pages_takes_two_queries_more(django_assert_num_queries):
    post, viewer = PostFactory(), UserFactory()
    for _ in range(3):
        CommentFactory(post=post)
    deliver()
    with django_assert_num_queries(6):
        first = list_comments(post, size=1)
    with django_assert_num_queries(5):
        list_comments(post, size=1, cursor=first.next_cursor)
    with django_assert_num_queries(7):
        list_comments(post, size=1, cursor=first.next_cursor, viewer=viewer)


# Cursors, and their validity


def cursors(snapshot: str) -> dict[str, Callable[[], Page[Any]]]:
    """Readers of a list and of a thread, with cursors that hold this text as their snapshot."""
    comment = CommentFactory()
    return {
        "list": lambda: list_posts("top", cursor=cursor_after("top/all", snapshot, 0, 1)),
        "thread": lambda: list_comments(comment.post, cursor=cursor_after("comments", snapshot, "", comment.pk)),
    }


@pytest.mark.parametrize("of", ["list", "thread"])
@pytest.mark.parametrize(
    "snapshot",
    [
        "", "1", "1:", ":1", "1:x", "-1:1", "1:-1", "1:1:1", "1:1:1:1", "1:1:1:1:x", "1:1:1:1:1,", "1:1:1:1:1:1",
        "1:1\n", "١:1", "1:1.5", f"{10**18 - 1}:1", f"1:{2**63}", f"1:1:{2**63}:1:", f"1:1:1:1:{2**63}",
        "1:1:1:1:" + ",".join(["1"] * 1001),
    ],
)  # fmt: skip
def test_a_cursor_that_was_tampered_with_is_refused(of, snapshot):
    with pytest.raises(BadCursorError):
        cursors(snapshot)[of]()


@pytest.mark.parametrize("of", ["list", "thread"])
@pytest.mark.parametrize(
    "snapshot",
    [
        "1:1", "1:1:9:3:", "1:1:3:9:9,9,1", f"1:{10**18 - 1}:0:{10**18 - 1}:{10**18 - 1}",
        "1:1:1:1:" + ",".join(["1"] * 1000),
    ],
)  # fmt: skip
def test_a_cursor_that_was_made_up_well_reads_on_somewhere(of, snapshot):
    assert cursors(snapshot)[of]().items == []


def test_of_very_many_transactions_a_cursor_names_the_first_and_takes_the_rest_for_later_ones():
    running = range(5, 3005, 2)
    snapshot = Snapshot.taken(timezone.now(), f"1:5:4000:{','.join(map(str, running))}:")
    assert snapshot.in_progress == tuple(running[:1000])
    assert snapshot.xmax == running[1000]
    assert str(Snapshot.from_cursor(str(snapshot))) == str(snapshot)


@pytest.mark.parametrize(
    "votes", ["x", "1", "1:1", "1:1:1,", "1:1:1:1", "1:99999:1", "1:1:1\n", ",".join(["1:1:1"] * 101)]
)
def test_a_cursor_of_a_thread_with_votes_that_are_none_is_refused(votes):
    comment = CommentFactory()
    with pytest.raises(BadCursorError):
        list_comments(comment.post, cursor=cursor_after("comments", "1:1", votes, comment.pk))


def test_a_cursor_of_another_thread_is_refused():
    first, other = CommentFactory(), CommentFactory()
    CommentFactory(post=first.post)
    cursor = list_comments(first.post, size=1).next_cursor
    with pytest.raises(BadCursorError):
        list_comments(other.post, cursor=cursor)


def test_a_cursor_tells_of_a_hundred_votes_at_most():
    post, viewer = PostFactory(), UserFactory()
    for _ in range(102):
        VoteFactory(comment=CommentFactory(post=post), user=viewer)
    first = list_comments(post, viewer=viewer, size=101)
    assert len(list_comments(post, viewer=viewer, cursor=first.next_cursor).items) == 1
    _, votes, _ = cursor_key(first.next_cursor, "comments", str, str, int)
    assert votes.count(",") == 99


def test_more_votes_of_ones_own_than_a_cursor_tells_of_change_no_order_between_two_pages():
    post, viewer = PostFactory(), UserFactory()
    comments = [CommentFactory(post=post) for _ in range(104)]
    for place, comment in enumerate(comments):
        VoteFactory(comment=comment, user=viewer, vote_type="down" if place < 100 else "up")
    first = list_comments(post, viewer=viewer, size=50)
    later = read_on(lambda cursor: list_comments(post, viewer=viewer, cursor=cursor, size=50), first)
    assert sorted([*ids(first), *later]) == [comment.pk for comment in comments]
    assert all(comment.score == (1 if comment.my_vote == "up" else -1) for comment in first.items)


def aged(cursor: str, name: str, *kinds: type) -> str:
    """The cursor with a snapshot of a day and a minute earlier."""
    written, *key = cursor_key(cursor, name, str, *kinds)
    snapshot = Snapshot.from_cursor(written)
    return cursor_after(name, str(replace(snapshot, moment=snapshot.moment - dt.timedelta(days=1, minutes=1))), *key)


def test_after_a_day_a_list_and_a_thread_go_on_by_the_votes_of_now():
    post = PostFactory()
    rows = [[PostFactory() for _ in range(3)], [CommentFactory(post=post) for _ in range(3)]]
    for row in (*rows[0], *rows[1]):
        count(row, up=5)
    cursor = list_posts("top", size=1).next_cursor
    count(rows[0][0], down=1)
    count(rows[0][1], down=2)
    assert ids(list_posts("top", cursor=cursor)) == [rows[0][1].pk, rows[0][0].pk]
    assert ids(list_posts("top", cursor=aged(cursor, "top/all", int, int))) == [rows[0][0].pk, rows[0][1].pk]
    cursor = list_comments(post, size=1).next_cursor
    count(rows[1][2], up=20)
    assert ids(list_comments(post, cursor=cursor)) == [rows[1][1].pk, rows[1][2].pk]
    assert ids(list_comments(post, cursor=aged(cursor, "comments", str, int))) == [rows[1][1].pk]


def test_what_was_before_is_forgotten_after_a_day_a_little_with_each_count():
    posts = [PostFactory() for _ in range(6)]
    for post in posts:
        count(post, up=1)
    old = EarlierCounts.objects.filter(entity_id__in=[post.pk for post in posts[:5]])
    old.update(changed_at=Now() - dt.timedelta(hours=26))
    count(posts[5])
    assert old.count() == 5
    for left in (3, 1, 0):
        count(posts[5], up=1)
        assert old.count() == left
    assert EarlierCounts.objects.count() == 4


@pytest.mark.postgres
def test_nobody_waits_for_another_who_forgets():
    post = PostFactory()
    for _ in range(2):
        count(post, up=1)
    EarlierCounts.objects.update(changed_at=Now() - dt.timedelta(hours=26))
    with another_counting(PostFactory()):
        count(PostFactory(), up=1)
    assert not EarlierCounts.objects.filter(entity_id=post.pk).exists()


def test_comments_alone_leave_nothing_to_remember():
    CommentFactory()
    deliver()
    assert EntityCounts.objects.count() == 2
    assert not EarlierCounts.objects.exists()
