"""`/`: which posts a viewer sees, in which order, and the page of an empty feed."""

import pytest

from events.testing import deliver
from feeds import actions
from feeds.lists.pagination import PAGE_SIZE
from tests.support.browsers import Window, window
from tests.support.factories import (
    CircleFactory,
    FollowFactory,
    MembershipFactory,
    PostFactory,
    UserFactory,
    VoteFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.home]


def test_a_stranger_sees_what_is_hot():
    post = PostFactory(title="For everyone")
    deliver()
    page = Window().read("/")
    assert "For everyone" in page
    assert f'href="/posts/{post.pk}"' in page
    assert "My feed" not in page


def test_the_feed_shows_whom_one_follows_and_nobody_else():
    alice = window()
    followed = PostFactory(title="Of a friend")
    PostFactory(title="Of a stranger")
    FollowFactory(follower=alice.user, followee=followed.author)
    deliver()
    page = alice.read("/")
    assert "Of a friend" in page
    assert "Of a stranger" not in page


def test_ones_own_post_is_in_ones_feed_before_any_worker_ran():
    alice = window()
    alice.send("/posts/new", title="Just written", body="")
    assert "Just written" in alice.read("/")


def test_an_empty_feed_offers_posts_of_others_and_circles_to_join():
    MembershipFactory(circle=CircleFactory(name="Gardening"))
    PostFactory(title="Of a stranger")
    deliver()
    page = window().read("/")
    assert "Your feed is empty" in page
    assert "Gardening" in page
    assert "2 members" in page
    assert "Of a stranger" in page


def test_top_lists_the_best_first():
    best, worst = PostFactory(title="Best of all"), PostFactory(title="Worst of all")
    VoteFactory(post=best)
    VoteFactory(post=worst, vote_type="down")
    deliver()
    page = Window().read("/?sort=top&period=day")
    assert page.index("Best of all") < page.index("Worst of all")


def test_a_long_list_goes_on_by_a_link():
    author = UserFactory()
    posts = [PostFactory(author=author, title=f"Number {n}.") for n in range(PAGE_SIZE + 1)]
    page = Window().get("/?sort=new")
    assert b"Number 0." not in page.content
    more = page.context["page"].next_cursor
    assert f"cursor={more}" in page.content.decode()
    assert "Number 0." in Window().read(f"/?sort=new&cursor={more}")
    assert len(posts) == PAGE_SIZE + 1


@pytest.mark.parametrize("address", ["/?sort=best", "/?sort=top&period=hour", "/?cursor=nonsense", "/?sort=feed"])
def test_an_order_that_there_is_not_is_not_found(address):
    Window().read(address, 404)


def test_a_mistake_in_a_list_is_no_page_that_there_is_not(monkeypatch):
    def posts(*args, **options):
        raise ValueError("a mistake")

    monkeypatch.setattr("feeds.views.lists.list_posts", posts)
    with pytest.raises(ValueError, match="a mistake"):
        Window().get("/?sort=new")


def test_a_muted_author_is_left_out():
    alice, loud = window(), PostFactory(title="Loud")
    actions.mute(alice.user, username=loud.author.username)
    assert "Loud" in Window().read("/?sort=new")
    assert "Loud" not in alice.read("/?sort=new")
