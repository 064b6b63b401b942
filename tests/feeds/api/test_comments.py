"""The API: threads, and votes on posts and comments."""

import pytest
from pytest_django import DjangoAssertNumQueries

from events.testing import deliver
from tests.support.api_client import Program, says
from tests.support.factories import BlockFactory, CircleFactory, CommentFactory, PostFactory, UserFactory

pytestmark = pytest.mark.django_db

FIELDS = {
    "id", "post_id", "parent_id", "content", "author", "upvotes", "downvotes", "score", "my_vote", "created_at",
    "updated_at", "deleted",
}  # fmt: skip


@pytest.fixture
def alice() -> Program:
    return Program(UserFactory(username="alice"))


@pytest.fixture
def bob() -> Program:
    return Program(UserFactory(username="bob"))


def test_a_comment_and_its_answer_show_at_once_with_no_worker_running(alice: Program, bob: Program) -> None:
    post = PostFactory().pk
    made = alice.post(f"/posts/{post}/comments", {"content": "First"})
    assert made.status_code == 201
    first = made.json()
    assert set(first) == FIELDS
    assert (first["post_id"], first["parent_id"], first["author"], first["deleted"]) == (post, None, "alice", False)
    answer = bob.post(f"/posts/{post}/comments", {"content": "Second", "parent_id": first["id"]}).json()
    assert answer["parent_id"] == first["id"]
    assert Program().items(f"/posts/{post}/comments") == [first, answer]
    assert alice.get(f"/posts/{post}").json()["comment_count"] == 1
    assert Program().get(f"/posts/{post}").json()["comment_count"] == 0
    deliver()
    assert Program().get(f"/posts/{post}").json()["comment_count"] == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "content"),
        ({"content": ""}, "content"),
        ({"content": " "}, "content"),
        ({"content": "x\0"}, "content"),
        ({"content": "x" * 10_001}, "content"),
        ({"content": 5}, "content"),
        ({"content": "x", "parent_id": 0}, "parent_id"),
        ({"content": "x", "parent_id": 2**70}, "parent_id"),
        ({"content": "x", "parent_id": "1"}, "parent_id"),
        ({"content": "x", "parent_id": True}, "parent_id"),
        ({"content": "x", "parent": 1}, "parent"),
    ],
)
def test_a_comment_that_cannot_be_taken_is_refused_by_the_name_of_the_field(
    alice: Program, body: dict[str, object], field: str
) -> None:
    response = alice.post(f"/posts/{PostFactory().pk}/comments", body)
    says(response, 422, field)
    assert list(response.json()["fields"]) == [field]


def test_the_comment_answered_must_be_of_the_same_post(alice: Program) -> None:
    elsewhere = CommentFactory()
    response = alice.post(f"/posts/{PostFactory().pk}/comments", {"content": "x", "parent_id": elsewhere.pk})
    says(response, 422, "parent_id")


def test_only_its_author_may_edit_a_comment(alice: Program, bob: Program) -> None:
    comment = CommentFactory(author=alice.user)
    changed = alice.patch(f"/comments/{comment.pk}", {"content": "Better"})
    assert (changed.status_code, changed.json()["content"]) == (200, "Better")
    says(bob.patch(f"/comments/{comment.pk}", {"content": "Worse"}), 403)
    says(Program().patch(f"/comments/{comment.pk}", {"content": "Worse"}), 401)
    says(alice.patch("/comments/0", {"content": "Worse"}), 404)


def test_a_deleted_comment_keeps_its_place_but_not_its_words(alice: Program, bob: Program) -> None:
    comment = CommentFactory(author=alice.user, content="Regret")
    answer = CommentFactory(post=comment.post, parent=comment)
    says(bob.delete(f"/comments/{comment.pk}"), 403)
    assert alice.delete(f"/comments/{comment.pk}").status_code == 204
    says(alice.delete(f"/comments/{comment.pk}"), 404)
    says(alice.patch(f"/comments/{comment.pk}", {"content": "Back"}), 404)
    says(bob.put(f"/comments/{comment.pk}/vote", {"vote_type": "up"}), 404)
    [place, kept] = bob.items(f"/posts/{comment.post_id}/comments")
    assert (place["id"], place["content"], place["author"], place["deleted"]) == (comment.pk, "", None, True)
    assert (kept["id"], kept["deleted"]) == (answer.pk, False)


def test_the_owner_of_the_circle_may_delete_a_comment(alice: Program) -> None:
    comment = CommentFactory(post=PostFactory(circle=CircleFactory(owner=alice.user)))
    assert alice.delete(f"/comments/{comment.pk}").status_code == 204


def test_who_deletes_the_comment_of_another_sees_the_count_at_once(alice: Program, bob: Program) -> None:
    post = PostFactory(circle=CircleFactory(owner=alice.user)).pk
    comment = bob.post(f"/posts/{post}/comments", {"content": "Spam"}).json()["id"]
    alice.post(f"/posts/{post}/comments", {"content": "Stays"})
    deliver()
    assert alice.delete(f"/comments/{comment}").status_code == 204
    assert alice.get(f"/posts/{post}").json()["comment_count"] == 1
    deliver(times=2)
    for program in (alice, bob, Program()):
        assert program.get(f"/posts/{post}").json()["comment_count"] == 1


def test_one_who_is_blocked_may_neither_answer_nor_vote(alice: Program, bob: Program) -> None:
    post = PostFactory(author=bob.user)
    BlockFactory(user=bob.user, target=alice.user)
    says(alice.post(f"/posts/{post.pk}/comments", {"content": "But"}), 403, "blocked")
    says(alice.put(f"/posts/{post.pk}/vote", {"vote_type": "down"}), 403, "blocked")


@pytest.mark.parametrize("way", ["blocking", "blocked"])
def test_the_thread_of_a_post_that_is_not_shown_is_not_shown_either(alice: Program, bob: Program, way: str) -> None:
    post = PostFactory(author=bob.user)
    assert alice.items(f"/posts/{post.pk}/comments") == []
    user, target = (alice.user, bob.user) if way == "blocking" else (bob.user, alice.user)
    BlockFactory(user=user, target=target)
    says(alice.get(f"/posts/{post.pk}/comments"), 404)
    assert Program().items(f"/posts/{post.pk}/comments") == []


def test_ones_own_draft_has_an_empty_thread_and_nobody_elses(alice: Program, bob: Program) -> None:
    draft = PostFactory(author=alice.user, status="draft").pk
    assert alice.items(f"/posts/{draft}/comments") == []
    says(bob.get(f"/posts/{draft}/comments"), 404)


def test_a_long_thread_is_read_page_by_page(alice: Program) -> None:
    post = PostFactory()
    for _ in range(205):
        CommentFactory(post=post, author=alice.user)
    first = Program().get(f"/posts/{post.pk}/comments").json()
    rest = Program().get(f"/posts/{post.pk}/comments", cursor=first["next_cursor"]).json()
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (200, 5, None)
    assert not {one["id"] for one in first["items"]} & {one["id"] for one in rest["items"]}


def test_a_thread_asks_the_same_few_questions_however_long_it_is(
    alice: Program, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    post = PostFactory()
    alice.get("/me")
    for length in (2, 20):
        for _ in range(length - post.comments.count()):
            CommentFactory(post=post)
        with django_assert_num_queries(8):
            assert len(alice.items(f"/posts/{post.pk}/comments")) == length
        with django_assert_num_queries(5):
            assert len(Program().items(f"/posts/{post.pk}/comments")) == length


@pytest.mark.parametrize("kind", ["posts", "comments"])
def test_a_vote_is_given_turned_round_and_taken_back_and_may_be_repeated(
    alice: Program, bob: Program, kind: str
) -> None:
    entity = (PostFactory if kind == "posts" else CommentFactory)().pk
    path = f"/{kind}/{entity}/vote"
    bob.put(path, {"vote_type": "up"})
    deliver()
    up = {"my_vote": "up", "upvotes": 2, "downvotes": 0, "score": 2}
    down = {"my_vote": "down", "upvotes": 1, "downvotes": 1, "score": 0}
    none = {"my_vote": None, "upvotes": 1, "downvotes": 0, "score": 1}
    for method, body, state in (
        ("PUT", {"vote_type": "up"}, up),
        ("PUT", {"vote_type": "up"}, up),
        ("PUT", {"vote_type": "down"}, down),
        ("DELETE", None, none),
        ("DELETE", None, none),
    ):
        answer = alice.send(method, path, body)
        assert (answer.status_code, answer.json()) == (200, state)
        deliver()
        assert alice.send(method, path, body).json() == state


@pytest.mark.parametrize("kind", ["posts", "comments"])
@pytest.mark.parametrize("body", [None, {}, {"vote_type": None}, {"vote_type": "sideways"}, {"vote_type": 1}, ["up"]])
def test_a_vote_is_up_or_down(alice: Program, kind: str, body: object) -> None:
    entity = (PostFactory if kind == "posts" else CommentFactory)().pk
    says(alice.put(f"/{kind}/{entity}/vote", body), 422)


@pytest.mark.parametrize("kind", ["posts", "comments"])
def test_voting_needs_somebody_and_something(alice: Program, kind: str) -> None:
    for entity in ("0", "x", "-1", "1.5", str(2**80)):
        says(alice.put(f"/{kind}/{entity}/vote", {"vote_type": "up"}), 404)
        says(alice.delete(f"/{kind}/{entity}/vote"), 404)
    says(Program().put(f"/{kind}/1/vote", {"vote_type": "up"}), 401)
    says(Program().delete(f"/{kind}/1/vote"), 401)
