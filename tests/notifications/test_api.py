"""Notices by HTTP, for programs and for browsers without a socket."""

import pytest

from events.testing import deliver
from notifications.models import Stream
from notifications.notices.notices import withdraw
from tests.notifications.direct import notify_of_posts
from tests.support.api_client import Program
from tests.support.factories import PostFactory, UserFactory, VoteFactory

pytestmark = pytest.mark.django_db


def test_the_latest_notices_come_first_page_by_page():
    user = UserFactory()
    notify_of_posts(user, *range(25))
    program = Program(user)
    first = program.get("/notifications").json()
    second = program.get("/notifications", cursor=first["next_cursor"]).json()
    assert [item["seq"] for item in first["items"] + second["items"]] == list(range(25, 0, -1))
    assert (first["unread"], second["next_cursor"]) == (25, None)


def test_a_notice_has_the_fields_that_a_person_and_a_program_need():
    user = UserFactory()
    notify_of_posts(user, 7)
    (item,) = Program(user).items("/notifications")
    assert item.pop("created_at")
    assert item.pop("id")
    assert item == {
        "seq": 1,
        "kind": "post",
        "data": {"post_id": 7, "title": "T", "names": ["bob"], "count": 1},
        "read": False,
        "text": "bob posted “T”",
        "link": "/posts/7",
    }


def test_after_seq_lists_the_later_notices_in_order():
    user = UserFactory()
    notify_of_posts(user, *range(30))
    program = Program(user)
    page = program.get("/notifications", after_seq=5).json()
    rest = program.get("/notifications", after_seq=5, cursor=page["next_cursor"]).json()
    assert [item["seq"] for item in page["items"] + rest["items"]] == list(range(6, 31))


def test_withdrawn_notices_and_notices_of_other_users_are_not_listed():
    user, other = UserFactory(), UserFactory()
    notify_of_posts(user, 1, 2)
    notify_of_posts(other, 3)
    withdraw(post_ids=[1])
    assert [item["data"]["post_id"] for item in Program(user).items("/notifications")] == [2]


def test_reading_up_to_a_number_leaves_the_later_unread():
    user = UserFactory()
    notify_of_posts(user, 1, 2, 3)
    program = Program(user)
    assert program.post("/notifications/read", {"upto": 2}).json() == {"unread": 1, "read_upto": 2}
    assert program.post("/notifications/read", {"upto": 1}).json() == {"unread": 1, "read_upto": 2}
    assert [item["read"] for item in program.items("/notifications")] == [False, True, True]
    assert program.get("/me").json()["unread"] == 1
    assert program.post("/notifications/read", {"upto": 10**18}).json() == {"unread": 0, "read_upto": 3}
    assert Stream.objects.get(user=user).read_upto == 3


def test_reading_numbers_marks_these_and_no_others():
    user = UserFactory()
    notify_of_posts(user, 1, 2, 3)
    program = Program(user)
    assert program.post("/notifications/read", {"seqs": [3, 1]}).json() == {"unread": 1, "read_upto": 0}
    assert [item["read"] for item in program.items("/notifications")] == [True, False, True]
    assert program.post("/notifications/read", {"seqs": [1, 3, 99]}).json() == {"unread": 1, "read_upto": 0}
    assert program.post("/notifications/read", {"seqs": []}).json()["unread"] == 1


def test_a_notice_that_has_grown_since_it_was_shown_stays_unread():
    post = PostFactory()
    VoteFactory(post=post)
    deliver()
    program = Program(post.author)
    seen = program.items("/notifications")
    VoteFactory(post=post)
    deliver()
    assert program.post("/notifications/read", {"seqs": [item["seq"] for item in seen]}).json()["unread"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"upto": "all"},
        {"upto": -1},
        {"upto": 2**63},
        {"upto": True},
        {"upto": 1, "x": 1},
        {"upto": 1, "seqs": [1]},
        {"seqs": 1},
        {"seqs": ["1"]},
        {"seqs": [-1]},
        {"seqs": [*range(101)]},
    ],
)
def test_a_bad_read_is_refused_with_a_reason(body):
    response = Program(UserFactory()).post("/notifications/read", body)
    assert response.status_code == 422
    assert response.json()["detail"]


@pytest.mark.parametrize("query", [{"after_seq": "x"}, {"after_seq": -1}, {"cursor": "x"}])
def test_a_bad_query_is_refused_with_a_reason(query):
    response = Program(UserFactory()).get("/notifications", **query)
    assert response.status_code == 422
    assert response.json()["detail"]


def test_visitors_are_asked_to_sign_in():
    assert Program().get("/notifications").status_code == 401
    assert Program().post("/notifications/read", {"upto": 1}).status_code == 401
