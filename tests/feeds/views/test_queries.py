"""Queries: a page needs the same number for few rows and for many."""

import pytest

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


@pytest.mark.parametrize(
    ("address", "queries"),
    [
        ("/", 8),
        ("/?sort=hot", 7),
        ("/?sort=new", 6),
        ("/?sort=top&period=week", 7),
        ("post", 8),
        ("/drafts", 3),
        ("/circles", 1),
        ("/circles/gardening", 7),
        ("/users/bob", 7),
        ("/search?q=tomatoes", 6),
        ("/notifications", 2),
        ("/settings", 3),
    ],
)
def test_a_page_asks_as_much_for_many_rows_as_for_few(alice, address, queries, django_assert_num_queries):
    address = alice.post_page if address == "post" else address
    with django_assert_num_queries(SIGNED_IN + queries):
        alice.read(address)


@pytest.mark.parametrize(
    ("address", "queries"), [("/", 5), ("/?sort=new", 5), ("post", 5), ("/circles", 1), ("/users/bob", 6)]
)
def test_a_stranger_costs_less(alice, address, queries, django_assert_num_queries):
    address = alice.post_page if address == "post" else address
    with django_assert_num_queries(queries):
        Window().read(address)
