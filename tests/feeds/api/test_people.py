"""The API: people, follows, blocks, mutes, circles and memberships."""

import pytest
from pytest_django import DjangoAssertNumQueries

from feeds.models import Follow
from tests.support.api_client import Program, says
from tests.support.factories import BlockFactory, CircleFactory, FollowFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Program:
    return Program(UserFactory(username="alice"))


@pytest.fixture
def bob() -> Program:
    return Program(UserFactory(username="Bob"))


def test_a_person_is_found_whatever_the_case_with_what_one_has_to_do_with_them(alice: Program, bob: Program) -> None:
    FollowFactory(follower=alice.user, followee=bob.user, bell=True)
    FollowFactory(followee=bob.user)
    person = alice.get("/users/bOB").json()
    assert (person["username"], person["url"]) == ("Bob", "/users/Bob")
    assert (person["follower_count"], person["following_count"]) == (2, 0)
    assert (person["following"], person["bell"], person["blocked"], person["muted"]) == (True, True, False, False)
    stranger = Program().get("/users/bob").json()
    assert (stranger["following"], stranger["bell"], stranger["follower_count"]) == (False, None, 2)


def test_the_address_of_a_person_and_a_circle_is_one_that_can_be_opened(alice: Program) -> None:
    UserFactory(username="小明")
    assert alice.get("/users/小明").json()["url"] == "/users/%E5%B0%8F%E6%98%8E"
    made = alice.post("/circles", {"name": "猫 & Cats", "slug": "猫"}).json()
    assert (made["slug"], made["url"]) == ("猫", "/circles/%E7%8C%AB")


def test_following_may_be_repeated_and_so_may_ending_it(alice: Program, bob: Program) -> None:
    for _ in range(2):
        answer = alice.put("/users/bob/follow")
        assert (answer.status_code, answer.json()) == (200, {"following": True, "bell": None})
    assert Follow.objects.count() == 1
    for _ in range(2):
        answer = alice.delete("/users/bob/follow")
        assert (answer.status_code, answer.json()) == (200, {"following": False, "bell": None})


def test_the_bell_stays_as_it_is_unless_one_says_otherwise(alice: Program, bob: Program) -> None:
    for body, bell in (
        ({"bell": True}, True),
        ({}, True),
        (None, True),
        ({"bell": False}, False),
        ({"bell": None}, None),
    ):
        assert alice.put("/users/bob/follow", body).json() == {"following": True, "bell": bell}
    for wrong in ({"bell": "yes"}, {"bell": 1}, {"ring": True}, [], "x"):
        says(alice.put("/users/bob/follow", wrong), 422)


def test_blocking_and_muting_may_be_repeated_and_lifted(alice: Program, bob: Program) -> None:
    FollowFactory(follower=bob.user, followee=alice.user)
    for tie, name in (("block", "blocked"), ("mute", "muted")):
        for method, state in (("PUT", True), ("PUT", True), ("DELETE", False), ("DELETE", False)):
            answer = alice.send(method, f"/users/bob/{tie}")
            assert (answer.status_code, answer.json()) == (200, {name: state})
            assert alice.get("/users/bob").json()[name] is state
    assert not Follow.objects.exists()


def test_who_is_blocked_cannot_follow(alice: Program, bob: Program) -> None:
    BlockFactory(user=bob.user, target=alice.user)
    says(alice.put("/users/bob/follow"), 403, "blocked")


@pytest.mark.parametrize("tie", ["follow", "block", "mute"])
def test_a_tie_needs_somebody_at_both_ends(alice: Program, tie: str) -> None:
    says(Program().put(f"/users/alice/{tie}"), 401)
    says(Program().delete(f"/users/alice/{tie}"), 401)
    says(alice.put(f"/users/alice/{tie}"), 422, "username")
    for nobody in ("nobody", "%00", "%F0%9F%99%82", "x" * 3000):
        says(alice.put(f"/users/{nobody}/{tie}"), 404)
        says(alice.delete(f"/users/{nobody}/{tie}"), 404)


def test_a_banned_user_is_not_shown(alice: Program) -> None:
    UserFactory(username="mallory", is_active=False)
    says(alice.get("/users/mallory"), 404)
    says(alice.put("/users/mallory/follow"), 404)


def test_who_founds_a_circle_owns_it_and_is_its_first_member(alice: Program) -> None:
    made = alice.post("/circles", {"name": "Cats", "slug": "Cats", "description": "And kittens"})
    assert made.status_code == 201
    circle = made.json()
    assert set(circle) == {"slug", "name", "description", "owner", "member_count", "member", "url", "created_at"}
    assert (circle["slug"], circle["owner"], circle["member_count"], circle["member"]) == ("cats", "alice", 1, True)
    assert Program().get("/circles/CATS").json() == circle | {"member": False}
    assert Program().items("/circles") == [circle | {"member": False}]
    assert alice.post("/circles", {"name": "Big Dogs"}).json()["slug"] == "big-dogs"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "", "slug": "x"}, "name"),
        ({"name": "x\0", "slug": "x"}, "name"),
        ({"name": "x" * 101, "slug": "x"}, "name"),
        ({"name": "x", "slug": "a b"}, "slug"),
        ({"name": "x", "slug": "x" * 51}, "slug"),
        ({"name": "x", "slug": "a/b"}, "slug"),
        ({"name": "x", "slug": "\0"}, "slug"),
        ({"name": "🙂"}, "slug"),
        ({"name": "x", "slug": "x", "description": "x" * 2_001}, "description"),
        ({"name": "x", "slug": "x", "owner": "bob"}, "owner"),
    ],
)
def test_a_circle_that_cannot_be_taken_is_refused_by_the_name_of_the_field(
    alice: Program, body: dict[str, object], field: str
) -> None:
    says(alice.post("/circles", body), 422, field)


def test_a_slug_that_is_taken_is_a_conflict(alice: Program) -> None:
    CircleFactory(slug="cats")
    says(alice.post("/circles", {"name": "Cats", "slug": "CATS"}), 409, "slug")


def test_joining_and_leaving_may_be_repeated(alice: Program) -> None:
    CircleFactory(slug="cats")
    for method, state in (
        ("PUT", {"member": True, "member_count": 2}),
        ("PUT", {"member": True, "member_count": 2}),
        ("DELETE", {"member": False, "member_count": 1}),
        ("DELETE", {"member": False, "member_count": 1}),
    ):
        answer = alice.send(method, "/circles/cats/membership")
        assert (answer.status_code, answer.json()) == (200, state)


def test_joining_needs_somebody_and_a_circle(alice: Program) -> None:
    says(Program().put("/circles/cats/membership"), 401)
    says(Program().post("/circles", {"name": "Cats"}), 401)
    for nowhere in ("nowhere", "%00", "x" * 3000):
        says(alice.get(f"/circles/{nowhere}"), 404)
        says(alice.put(f"/circles/{nowhere}/membership"), 404)
        says(alice.delete(f"/circles/{nowhere}/membership"), 404)


def test_circles_are_listed_newest_first_by_the_same_few_questions(
    alice: Program, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    alice.get("/me")
    made = [MembershipFactory(user=alice.user).circle.slug for _ in range(25)]
    with django_assert_num_queries(2):
        first = alice.get("/circles").json()
    rest = alice.get("/circles", cursor=first["next_cursor"]).json()
    listed = first["items"] + rest["items"]
    assert [circle["slug"] for circle in listed] == made[::-1]
    assert all(circle["member"] and circle["member_count"] == 2 for circle in listed)
    with django_assert_num_queries(1):
        assert Program().get(f"/circles/{made[0]}").status_code == 200


def test_a_person_is_one_question(bob: Program, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    bob.get("/me")
    with django_assert_num_queries(2):
        bob.get("/users/bob")
