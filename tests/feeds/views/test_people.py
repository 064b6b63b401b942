"""Pages of people and circles: their posts; follow, block, mute, join."""

import pytest

from feeds.models import Block, Circle, Follow, Membership, Mute
from tests.support.browsers import Window, shown, window
from tests.support.factories import (
    BlockFactory,
    CircleFactory,
    FollowFactory,
    MembershipFactory,
    PostFactory,
    UserFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.home]


def test_a_person_is_shown_with_their_posts():
    bob = UserFactory(username="Bob")
    PostFactory(author=bob, title="By Bob")
    PostFactory(title="By someone else")
    FollowFactory(followee=bob)
    page = Window().read("/users/bob")
    assert "By Bob" in page
    assert "By someone else" not in page
    assert "1 follower" in page


def test_a_name_of_any_script_has_a_page():
    UserFactory(username="李雷")
    assert "李雷" in Window().read("/users/李雷")


def test_a_mention_with_text_behind_the_name_leads_to_the_person_meant():
    UserFactory(username="anna")
    assert Window().get("/users/anna处理").headers["Location"] == "/users/anna"
    UserFactory(username="anna处理")
    assert "anna处理" in Window().read("/users/anna处理")


def test_a_mention_of_who_is_banned_leads_to_nobody_else():
    UserFactory(username="anna")
    UserFactory(username="anna处理", is_active=False)
    Window().read("/users/anna处理", 404)


@pytest.mark.parametrize("name", ["nobody", "x" * 200, "a%00b", "好" * 200])
def test_who_is_not_there_is_not_found(name):
    Window().read(f"/users/{name}", 404)


def test_who_is_banned_is_not_found():
    UserFactory(username="bob", is_active=False)
    Window().read("/users/bob", 404)


def test_following_and_its_bell():
    alice, bob = window(), UserFactory(username="bob")
    assert "Follow" in alice.read("/users/bob")
    page = shown(alice.send("/users/bob/ties", verb="follow"))
    assert "Unfollow" in page
    tie = Follow.objects.get(follower=alice.user, followee=bob)
    alice.send("/users/bob/ties", verb="silence")
    tie.refresh_from_db()
    assert tie.bell is False
    assert "Notify me" in alice.read("/users/bob")
    alice.send("/users/bob/ties", verb="ring")
    tie.refresh_from_db()
    assert tie.bell is True
    alice.send("/users/bob/ties", verb="unfollow")
    assert not Follow.objects.exists()


def test_blocking_and_muting_and_back():
    alice, bob = window(), UserFactory(username="bob")
    assert "You've muted" in shown(alice.send("/users/bob/ties", verb="mute"))
    assert Mute.objects.filter(user=alice.user, target=bob).exists()
    alice.send("/users/bob/ties", verb="unmute")
    assert "You've blocked" in shown(alice.send("/users/bob/ties", verb="block"))
    assert Block.objects.filter(user=alice.user, target=bob).exists()
    assert not Mute.objects.exists()
    alice.send("/users/bob/ties", verb="unblock")
    assert not Block.objects.exists()


def test_who_was_blocked_cannot_follow():
    alice = window()
    bob = BlockFactory(target=alice.user).user
    assert "has blocked you" in shown(alice.send(f"/users/{bob.username}/ties", verb="follow"), 403)


def test_nobody_follows_themselves():
    alice = window()
    assert "ties" not in alice.read(f"/users/{alice.user.username}")
    page = shown(alice.send(f"/users/{alice.user.username}/ties", verb="follow"))
    assert "You can&#x27;t follow yourself." in page


def test_an_unknown_verb_is_not_found():
    shown(window().send(f"/users/{UserFactory().username}/ties", verb="poke"), 404)


# Circles


def test_circles_are_listed_joined_and_left():
    alice = window()
    circle = CircleFactory(slug="gardening", name="Gardening")
    assert "1 member" in alice.read("/circles")
    page = shown(alice.send("/circles/gardening/membership", verb="join", next="/circles"))
    assert "2 members" in page
    assert 'value="leave"' in page
    alice.send("/circles/gardening/membership", verb="leave")
    assert not Membership.objects.filter(circle=circle, user=alice.user).exists()


def test_a_circle_shows_its_posts_alone():
    circle = CircleFactory(slug="读书会", description="About **books**")
    PostFactory(circle=circle, title="Inside")
    PostFactory(title="Outside")
    page = Window().read("/circles/读书会")
    assert "Inside" in page
    assert "Outside" not in page
    assert "<strong>books</strong>" in page


def test_founding_a_circle():
    alice = window()
    page = shown(alice.send("/circles/new", name="Slow Food", description="Soup"))
    assert "Circle created." in page
    circle = Circle.objects.get()
    assert (circle.slug, circle.owner) == ("slow-food", alice.user)


@pytest.mark.parametrize(
    ("name", "slug", "error"),
    [
        ("", "", "This must not be empty."),
        ("Taken", "taken", "A circle with this name or address already exists. Choose another."),
        ("New", "", "This address is already taken"),
        ("Fine", "no spaces", "Use only letters"),
    ],
)
def test_a_circle_that_cannot_be_says_why(name, slug, error):
    MembershipFactory(circle__slug="taken")
    page = shown(window().send("/circles/new", name=name or " ", slug=slug, description="kept text"), 422)
    assert error in page
    assert "kept text" in page
