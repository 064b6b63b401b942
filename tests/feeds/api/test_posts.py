"""The API: posts, feed and search."""

import datetime as dt

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from events.testing import deliver
from feeds import actions
from feeds.models import User
from tests.support.api_client import Program, says
from tests.support.factories import (
    BlockFactory,
    CircleFactory,
    FollowFactory,
    MembershipFactory,
    PostFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

FIELDS = {
    "id", "title", "body", "author", "circle", "status", "url", "upvotes", "downvotes", "score", "hot",
    "comment_count", "my_vote", "created_at", "updated_at", "published_at",
}  # fmt: skip


@pytest.fixture
def alice() -> Program:
    return Program(UserFactory(username="alice"))


@pytest.fixture
def bob() -> Program:
    return Program(UserFactory(username="bob"))


def test_a_post_is_published_and_everyone_can_read_it(alice: Program) -> None:
    CircleFactory(slug="cats")
    made = alice.post("/posts", {"title": "Hello", "body": "*World*", "circle": "Cats"})
    assert made.status_code == 201
    post = made.json()
    assert set(post) == FIELDS
    assert (post["title"], post["body"], post["author"], post["circle"]) == ("Hello", "*World*", "alice", "cats")
    assert (post["status"], post["url"]) == ("published", f"/posts/{post['id']}")
    assert (post["my_vote"], post["score"], post["comment_count"]) == (None, 0, 0)
    assert Program().get(f"/posts/{post['id']}").json() == post
    assert [item["id"] for item in Program().items("/posts")] == []
    deliver()
    assert [item["id"] for item in Program().items("/posts")] == [post["id"]]


def test_times_are_iso_8601_in_utc(alice: Program) -> None:
    made = alice.post("/posts", {"title": "Now"}).json()["created_at"]
    assert made.endswith("Z")
    assert abs(dt.datetime.fromisoformat(made) - timezone.now()) < dt.timedelta(minutes=1)


def test_the_author_sees_a_new_post_in_every_list_with_no_worker_running(alice: Program) -> None:
    post = alice.post("/posts", {"title": "Fresh"}).json()
    for path, query in (("/posts", {}), ("/posts", {"sort": "new"}), ("/posts", {"author": "ALICE"}), ("/feed", {})):
        assert [item["id"] for item in alice.items(path, **query)] == [post["id"]], path


def test_a_draft_is_seen_by_its_author_alone_until_it_is_published(alice: Program, bob: Program) -> None:
    draft = alice.post("/posts", {"title": "Soon", "status": "draft"}).json()
    assert (draft["status"], draft["published_at"]) == ("draft", None)
    assert [item["id"] for item in alice.items("/posts", status="draft")] == [draft["id"]]
    assert alice.get(f"/posts/{draft['id']}").status_code == 200
    assert bob.items("/posts", status="draft") == []
    assert alice.items("/posts", sort="new") == []
    for other in (bob, Program()):
        says(other.get(f"/posts/{draft['id']}"), 404, "post doesn't exist")
    says(Program().get("/posts", status="draft"), 401)
    says(bob.patch(f"/posts/{draft['id']}", {"title": "Mine"}), 404)
    published = alice.patch(f"/posts/{draft['id']}", {"status": "published"})
    assert (published.status_code, published.json()["status"]) == (200, "published")
    assert bob.get(f"/posts/{draft['id']}").status_code == 200
    says(alice.patch(f"/posts/{draft['id']}", {"status": "draft"}), 422, "status")


def test_a_change_changes_what_it_names_and_nothing_else(alice: Program) -> None:
    CircleFactory(slug="cats")
    post = alice.post("/posts", {"title": "Hello", "body": "World", "circle": "cats"}).json()
    changed = alice.patch(f"/posts/{post['id']}", {"title": "Hello again"}).json()
    assert (changed["title"], changed["body"], changed["circle"]) == ("Hello again", "World", "cats")
    assert alice.patch(f"/posts/{post['id']}", {"circle": None}).json()["circle"] is None
    assert alice.patch(f"/posts/{post['id']}", {}).json()["title"] == "Hello again"


def test_only_its_author_may_edit_or_delete_a_post(alice: Program, bob: Program) -> None:
    post = alice.post("/posts", {"title": "Mine"}).json()["id"]
    says(bob.patch(f"/posts/{post}", {"title": "Yours"}), 403)
    says(bob.delete(f"/posts/{post}"), 403)
    for answer in (Program().patch(f"/posts/{post}", {"title": "Ours"}), Program().delete(f"/posts/{post}")):
        says(answer, 401)
    assert alice.get(f"/posts/{post}").json()["title"] == "Mine"


def test_the_owner_of_a_circle_may_delete_its_posts(alice: Program, bob: Program) -> None:
    CircleFactory(slug="cats", owner=bob.user)
    post = alice.post("/posts", {"title": "Dogs!", "circle": "cats"}).json()["id"]
    assert bob.delete(f"/posts/{post}").status_code == 204


def test_a_deleted_post_is_gone_from_everywhere(alice: Program, bob: Program) -> None:
    post = alice.post("/posts", {"title": "Brief"}).json()["id"]
    deliver()
    assert alice.delete(f"/posts/{post}").status_code == 204
    for one in (alice, bob):
        says(one.get(f"/posts/{post}"), 404)
        says(one.delete(f"/posts/{post}"), 404)
        says(one.patch(f"/posts/{post}", {"title": "Back"}), 404)
        says(one.get(f"/posts/{post}/comments"), 404)
        says(one.put(f"/posts/{post}/vote", {"vote_type": "up"}), 404)
        assert one.items("/posts") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "title"),
        ({"title": ""}, "title"),
        ({"title": " \n"}, "title"),
        ({"title": "x" * 301}, "title"),
        ({"title": "x\0"}, "title"),
        ({"title": None}, "title"),
        ({"title": 1}, "title"),
        ({"title": "x", "body": "x" * 40_001}, "body"),
        ({"title": "x", "body": ["x"]}, "body"),
        ({"title": "x", "circle": "nowhere"}, "circle"),
        ({"title": "x", "circle": "\0"}, "circle"),
        ({"title": "x", "status": "hidden"}, "status"),
        ({"title": "x", "author": "bob"}, "author"),
    ],
)
def test_a_post_that_cannot_be_taken_is_refused_by_the_name_of_the_field(
    alice: Program, body: dict[str, object], field: str
) -> None:
    response = alice.post("/posts", body)
    says(response, 422, field)
    assert list(response.json()["fields"]) == [field]


def test_nobody_must_sign_in_to_read_and_everybody_to_write() -> None:
    stranger = Program()
    says(stranger.post("/posts", {"title": "Anonymous"}), 401)
    says(stranger.get("/feed"), 401)
    assert stranger.get("/posts").status_code == 200
    assert stranger.get("/search", q="x").status_code == 200


def test_votes_order_the_hot_and_the_top_list(alice: Program, bob: Program) -> None:
    first, second = (alice.post("/posts", {"title": title}).json()["id"] for title in ("First", "Second"))
    for voter in (alice, bob):
        voter.put(f"/posts/{first}/vote", {"vote_type": "up"})
    deliver()
    assert [item["id"] for item in Program().items("/posts", sort="top", period="day")] == [first, second]
    assert [item["id"] for item in Program().items("/posts")] == [first, second]
    assert [item["id"] for item in Program().items("/posts", sort="new")] == [second, first]
    assert Program().items("/posts", sort="hot")[0]["score"] == 2
    assert Program().items("/posts")[0]["hot"] > Program().items("/posts")[1]["hot"]


def test_a_list_is_read_page_by_page_without_a_gap_or_a_double(alice: Program) -> None:
    for _ in range(45):
        PostFactory(author=alice.user)
    for sort in ("new", "hot", "top", "controversial"):
        deliver()
        seen: list[int] = []
        cursor: dict[str, str] = {}
        while True:
            page = alice.get("/posts", sort=sort, **cursor).json()
            seen += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert len(seen) == len(set(seen)) == 45, sort


@pytest.mark.parametrize("path", ["/posts", "/feed", "/search", "/circles", "/posts/{post}/comments"])
@pytest.mark.parametrize("cursor", ["x", "🙂", "\0", "W10", "WyJuZXciLDFd", "e30", "bnVsbA", "a" * 5000])
def test_a_cursor_from_elsewhere_is_refused(alice: Program, path: str, cursor: str) -> None:
    post = PostFactory()
    response = alice.get(path.format(post=post.pk), cursor=cursor, q="words")
    says(response, 422, "cursor")


def test_an_empty_parameter_is_one_left_out(alice: Program) -> None:
    alice.post("/posts", {"title": "Hello"})
    assert len(alice.items("/posts", cursor="", circle="", author="")) == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"sort": "best"}, 422),
        ({"period": "hour"}, 422),
        ({"status": "deleted"}, 422),
        ({"circle": "nowhere"}, 404),
        ({"author": "nobody"}, 404),
        ({"circle": "\0"}, 404),
        ({"author": "\0"}, 404),
    ],
)
def test_a_list_of_what_does_not_exist_is_refused(query: dict[str, str], status: int) -> None:
    says(Program().get("/posts", **query), status)


def test_the_list_of_a_circle_or_an_author_has_their_posts_alone() -> None:
    circle = CircleFactory(slug="猫")
    inside, outside = PostFactory(circle=circle), PostFactory()
    deliver()
    assert [item["id"] for item in Program().items("/posts", circle="猫")] == [inside.pk]
    assert [item["id"] for item in Program().items("/posts", author=outside.author.username)] == [outside.pk]


def test_the_feed_has_whom_one_follows_and_ones_circles(alice: Program, bob: Program) -> None:
    circle = CircleFactory()
    FollowFactory(follower=alice.user, followee=bob.user)
    MembershipFactory(circle=circle, user=alice.user)
    PostFactory()
    followed, joined = PostFactory(author=bob.user), PostFactory(circle=circle)
    deliver()
    assert [item["id"] for item in alice.items("/feed")] == [joined.pk, followed.pk]


def test_whom_one_blocked_is_not_shown(alice: Program, bob: Program) -> None:
    post = PostFactory(author=bob.user)
    deliver()
    assert alice.get(f"/posts/{post.pk}").status_code == 200
    BlockFactory(user=alice.user, target=bob.user)
    says(alice.get(f"/posts/{post.pk}"), 404)
    assert alice.items("/posts") == []


def test_search_finds_words_in_any_script_and_marks_them() -> None:
    post = PostFactory(title="Recipes", body="Boil <b>noodles</b> 今天天气很好")
    deliver()
    for words, mark in (("noodle", "<mark>noodles</mark>"), ("天气", "<mark>天气</mark>")):
        [hit] = Program().items("/search", q=words)
        assert set(hit) == FIELDS | {"snippet"}
        assert hit["id"] == post.pk
        assert mark in hit["snippet"]
        assert "<b>" not in hit["snippet"]
    for nothing in ("", "\0", "''--", '"', "zebra", "-noodle"):
        assert Program().items("/search", q=nothing) == []


def test_search_looks_into_one_circle_or_at_one_author_where_asked() -> None:
    inside = PostFactory(title="Tea", circle=CircleFactory())
    PostFactory(title="Tea elsewhere")
    deliver()
    for only in ({"circle": inside.circle.slug}, {"author": inside.author.username}):
        assert [hit["id"] for hit in Program().items("/search", q="tea", **only)] == [inside.pk]
    says(Program().get("/search", q="tea", circle="nowhere"), 404)


#: A list and its queries, of one who is signed in and of a stranger.
QUERIES = {
    "/posts": (9, 6),
    "/posts?sort=new": (8, 6),
    "/posts?sort=top&period=week": (9, 6),
    "/posts?status=draft": (5, None),
    "/feed": (10, None),
    "/search?q=words": (8, 6),
}


def test_a_list_asks_the_same_few_questions_however_long_it_is(
    alice: Program, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    alice.get("/me")  # writes the time of use of the token, at most every 10 minutes
    for number, length in ((2, 2), (18, 20)):
        for _ in range(number):
            _one_more_for(alice.user)
        deliver()
        for path, (signed_in, stranger) in QUERIES.items():
            with django_assert_num_queries(signed_in, info=path):
                assert len(alice.items(path)) == length
            if stranger is not None:
                with django_assert_num_queries(stranger, info=path):
                    assert len(Program().items(path)) == length


def _one_more_for(reader: User | None) -> None:
    actions.create_post(reader, title="Draft", status="draft")
    post = PostFactory(circle=CircleFactory())
    FollowFactory(follower=reader, followee=post.author)
