"""Plans: PostgreSQL reads feeds and lists by ranges of indexes, no more than a page, however deep the page is."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from feeds.counts import counting
from feeds.counts.counts import Counts
from feeds.counts.recount import Position, recount
from feeds.home_feed import fanout, removal
from feeds.lists.home import list_home_feed
from feeds.lists.posts import list_posts
from feeds.lists.presentation import counts_for
from feeds.models import EarlierCounts, EntityCounts, FeedEntry, Follow, Post, PulledPost, Uncounted, User
from feeds.ranking import hot
from notifications.push import counts
from tests.support.factories import CircleFactory, FollowFactory, MembershipFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]

POSTS, READERS, SIZE = 1500, 4, 20


@pytest.fixture
def reader() -> User:
    """One of several readers who have many ranked posts in their feeds, and follow an author merged in on read."""
    author, star, circle = UserFactory(), UserFactory(), CircleFactory()
    readers = [FollowFactory(followee=author).follower for _ in range(READERS)]
    Follow.objects.bulk_create(Follow(follower=reader, followee=star) for reader in readers)
    now = timezone.now()
    posts = Post.objects.bulk_create(
        Post(
            author=star if n % 3 == 0 else author,
            circle=circle if n % 2 == 0 else None,
            title=str(n),
            published_at=now - dt.timedelta(minutes=n),
        )
        for n in range(POSTS)
    )
    EntityCounts.objects.bulk_create(
        EntityCounts(
            entity_type="post",
            entity_id=post.pk,
            upvotes=post.pk % 50,
            score=post.pk % 50,
            hot=hot(post.pk % 50, 0, post.published_at.timestamp()),
        )
        for post in posts
    )
    PulledPost.objects.bulk_create(
        PulledPost(post=post, author_id=star.pk, published_at=post.published_at)
        for post in posts
        if post.author == star
    )
    FeedEntry.objects.bulk_create(
        FeedEntry(user=reader, post=post, author_id=author.pk, published_at=post.published_at)
        for reader in readers
        for post in posts
        if post.author == author
    )
    analyze()
    return readers[0]


def analyze() -> None:
    """Update the statistics, and turn off the plans that PostgreSQL prefers for small tables."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        for way in ("seqscan", "sort", "hashjoin", "mergejoin"):
            cursor.execute(f"SET LOCAL enable_{way} = off")


def scans(queries: list[dict[str, str]], table: str) -> list[dict[str, Any]]:
    """Run the queries; return the nodes of their plans that read a table."""
    found = []
    for query in queries:
        if query["sql"].lstrip("(").startswith(("SELECT", "DELETE", "INSERT")) and table in query["sql"]:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
                (plan,) = cursor.fetchone()
            plan = json.loads(plan) if isinstance(plan, str) else plan
            found += [node for node in nodes(plan[0]["Plan"]) if node.get("Relation Name") == table]
    return found


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def deep_page(read: Callable[..., Any], *, depth: int) -> list[dict[str, str]]:
    """The queries of the page at this depth, in posts."""
    cursor = read(size=depth).next_cursor
    with CaptureQueriesContext(connection) as queries:
        assert len(read(size=SIZE, cursor=cursor).items) == SIZE
    return list(queries)


def assert_page_is_a_range(node: dict[str, Any], index: str) -> None:
    assert node["Node Type"] in ("Index Scan", "Index Only Scan"), node
    assert node["Index Name"] == index
    assert "ROW(" in node["Index Cond"], node["Index Cond"]
    assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= SIZE + 1


def test_a_deep_page_of_the_feed_is_a_range_of_its_key(reader: User) -> None:
    queries = deep_page(lambda **options: list_home_feed(reader, **options), depth=380)
    (entries,) = scans(queries, "feeds_feedentry")
    assert_page_is_a_range(entries, "feeds_feedentry_pkey")


def test_what_is_merged_into_a_feed_goes_no_further_down_than_the_page(reader: User) -> None:
    queries = deep_page(lambda **options: list_home_feed(reader, **options), depth=380)
    merged = [query for query in queries if 'FROM "feeds_pulledpost" WHERE' in query["sql"]]
    (pulled,) = scans(merged, "feeds_pulledpost")
    assert "Index" in pulled["Node Type"], pulled
    assert pulled["Actual Rows"] + pulled.get("Rows Removed by Filter", 0) <= SIZE + 1


def test_who_follows_no_large_author_does_not_look_through_their_posts() -> None:
    stars = [UserFactory().pk for _ in range(3)]
    author = UserFactory()
    for star in stars:
        posts = Post.objects.bulk_create(
            Post(author_id=star, title=str(n), published_at=timezone.now()) for n in range(500)
        )
        PulledPost.objects.bulk_create(
            PulledPost(post=post, author_id=star, published_at=post.published_at) for post in posts
        )
    reader = FollowFactory(followee=author).follower
    analyze()
    with CaptureQueriesContext(connection) as queries:
        assert list_home_feed(reader).items == []
    read = scans(list(queries), "feeds_pulledpost")
    assert read
    assert sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in read) == 0, read


@pytest.mark.parametrize(
    ("sort", "index"),
    [
        ("hot", "entity_counts_hot"),
        ("top", "entity_counts_score"),
        ("controversial", "entity_counts_controversy"),
    ],
)
def test_a_deep_page_of_a_ranked_list_is_a_range_of_its_index(reader: User, sort: str, index: str) -> None:
    queries = deep_page(lambda **options: list_posts(sort, viewer=reader, **options), depth=1000)
    (ranked,) = scans([query for query in queries if 'FROM "entity_counts"' in query["sql"]][1:2], "entity_counts")
    assert_page_is_a_range(ranked, index)


@pytest.mark.parametrize("sort", ["hot", "top", "controversial"])
def test_of_earlier_counts_a_page_reads_those_that_are_from_after_the_first(reader: User, sort: str) -> None:
    ids = list(Post.objects.order_by("pk").values_list("pk", flat=True))
    before = {"entity_type": "post", "upvotes": 0, "downvotes": 0, "score": 0, "hot": 0.0, "controversy": 0.0}
    EarlierCounts.objects.bulk_create(EarlierCounts(entity_id=post_id, transaction=3, **before) for post_id in ids)
    analyze()
    cursor = list_posts(sort, viewer=reader, size=1000).next_cursor
    counting.add({("post", post_id): Counts(upvotes=1) for post_id in ids[700:710]})
    with CaptureQueriesContext(connection) as queries:
        assert len(list_posts(sort, viewer=reader, size=SIZE, cursor=cursor).items) == SIZE
    read = [query for query in queries if "transaction" in query["sql"]]
    assert len(read) == 2
    nodes = scans(read, "feeds_earliercounts")
    assert len(nodes) >= 2
    for node in nodes:
        assert node["Index Name"] in ("feeds_earlier_entity", "feeds_earlier_transaction")
        assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= 10, node


def test_a_deep_page_of_the_new_is_a_range_of_its_index(reader: User) -> None:
    queries = deep_page(lambda **options: list_posts("new", viewer=reader, **options), depth=1000)
    (posts,) = scans(queries[:1], "feeds_post")
    assert_page_is_a_range(posts, "feeds_post_new")


def test_a_post_is_retracted_by_its_key(reader: User) -> None:
    post = Post.objects.exclude(pk__in=PulledPost.objects.values("pk")).earliest("pk")
    Post.objects.filter(pk=post.pk).update(deleted_at=timezone.now())
    with CaptureQueriesContext(connection) as queries:
        removal.remove_post(post.pk)
    assert not FeedEntry.objects.filter(post=post).exists()
    deletes = [query for query in queries if query["sql"].startswith('DELETE FROM "feeds_feedentry"')]
    for node in scans(deletes, "feeds_feedentry"):
        assert node["Node Type"] in ("Index Scan", "Index Only Scan", "ModifyTable"), node


def test_a_feed_is_built_anew_without_looking_through_the_posts_of_all() -> None:
    follow = FollowFactory()
    circle = MembershipFactory(user=follow.follower).circle
    now = timezone.now()
    others = [UserFactory() for _ in range(20)]
    Post.objects.bulk_create(
        Post(author=others[n % 20], title=str(n), published_at=now - dt.timedelta(minutes=n)) for n in range(20_000)
    )
    theirs = Post.objects.bulk_create(
        Post(
            author=others[0] if n % 2 else follow.followee,
            circle=circle if n % 2 else None,
            title=str(n),
            published_at=now - dt.timedelta(days=30, minutes=n),
        )
        for n in range(100)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as queries:
        fanout.rebuild(follow.follower_id)
    assert FeedEntry.objects.filter(user=follow.follower).count() == len(theirs)
    read = scans(list(queries), "feeds_post")
    assert read
    for node in read:
        assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= len(theirs), node


@pytest.mark.parametrize("asks", ["who watches", "the viewer", "recount"])
def test_what_waits_to_be_counted_is_found_by_what_it_is_about(reader: User, asks: str) -> None:
    ids = list(Post.objects.order_by("pk").values_list("pk", flat=True))
    Uncounted.objects.bulk_create(
        Uncounted(event_id=uuid.uuid4(), user_id=user_id, entity_type="post", entity_id=post_id, upvotes=1)
        for user_id in User.objects.values_list("pk", flat=True)
        for post_id in ids
    )
    analyze()
    some = ids[700:703]
    with CaptureQueriesContext(connection) as queries:
        if asks == "who watches":
            told = {found["post_id"]: found["upvotes"] for found in counts.current_counts(some)}
            assert told == {post_id: post_id % 50 + User.objects.count() for post_id in some}
        elif asks == "the viewer":
            assert counts_for("post", some, viewer=reader)[some[0]].upvotes == some[0] % 50 + 1
        else:
            assert len(recount(after=Position("post", ids[-3]), repair=False)) == 2
    read = scans(list(queries), "feeds_uncounted")
    assert len(read) == 1
    people = 1 if asks == "the viewer" else User.objects.count()
    for node in read:
        assert "feeds_uncounted_entity" in (node.get("Index Name"), *(inner.get("Index Name") for inner in nodes(node)))
        assert node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0) <= 3 * people, node
