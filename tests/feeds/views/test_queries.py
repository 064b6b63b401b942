"""Queries: a page needs the same number for few rows and for many."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events.testing import deliver
from tests.support.browsers import Window, window
from tests.support.factories import (
    CircleFactory,
    CommentFactory,
    FollowFactory,
    MembershipFactory,
    PostFactory,
    UserFactory,
    VoteFactory,
)

pytestmark = pytest.mark.django_db

#: Queries of every page: the session, its user, and the number of unread notices.
SIGNED_IN = 3


@pytest.fixture(params=[1, 6], ids=["few", "many"])
def alice(request):
    """A user with follows, memberships, posts, votes and comments."""
    alice, bob = window(), UserFactory(username="bob")
    FollowFactory(follower=alice.user, followee=bob)
    circle = CircleFactory(slug="gardening")
    MembershipFactory(circle=circle, user=alice.user)
    for _ in range(request.param):
        CircleFactory()
        post = PostFactory(author=bob, circle=circle, title="Tomatoes")
        VoteFactory(post=post, user=alice.user)
        CommentFactory(post=post, author=alice.user)
        CommentFactory(post=post, parent=CommentFactory(post=post))
        PostFactory(author=alice.user, status="draft")
    deliver()
    alice.post_page = f"/posts/{post.pk}"
    return alice


#: A page and its queries beside those for the session, its user and the bell.
QUERIES = {
    "/": 9,
    "/?sort=hot": 8,
    "/?sort=new": 7,
    "/?sort=top&period=week": 8,
    "post": 10,
    "/drafts": 4,
    "/circles": 1,
    "/circles/gardening": 8,
    "/users/bob": 8,
    "/search?q=tomatoes": 7,
    "/notifications": 3,
    "/settings": 5,
}
QUERIES_OF_A_STRANGER = {"/": 6, "/?sort=new": 6, "post": 7, "/circles": 1, "/users/bob": 7}


def queries_of(browser: Window, address: str, post_page: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        browser.read(post_page if address == "post" else address)
    return len(queries)


def test_a_page_asks_as_much_for_many_rows_as_for_few(alice):
    asked = {address: queries_of(alice, address, alice.post_page) - SIGNED_IN for address in QUERIES}
    assert asked == QUERIES


def test_a_stranger_costs_less(alice):
    asked = {address: queries_of(Window(), address, alice.post_page) for address in QUERIES_OF_A_STRANGER}
    assert asked == QUERIES_OF_A_STRANGER
