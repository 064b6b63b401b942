"""Votes on pages: buttons that work without a script."""

import pytest

from events.testing import deliver
from feeds.models import Vote
from tests.support.browsers import Window, shown, window
from tests.support.factories import CommentFactory, PostFactory, VoteFactory

pytestmark = [pytest.mark.django_db, pytest.mark.home]


def test_a_vote_shows_at_once_and_leads_back_to_where_one_was():
    alice, post = window(), PostFactory()
    response = alice.post(f"/posts/{post.pk}/vote", {"vote_type": "up", "next": f"/?sort=new#post-{post.pk}"})
    assert response.headers["Location"] == f"/?sort=new#post-{post.pk}"
    page = alice.read("/?sort=new")
    assert "<span data-score>1</span>" in page
    assert 'value="none" data-way="up" aria-pressed="true"' in page
    assert "<span data-score>0</span>" in Window().read("/?sort=new")
    deliver()
    assert "<span data-score>1</span>" in Window().read("/?sort=new")


def test_a_vote_is_turned_and_taken_back():
    vote = VoteFactory()
    alice, address = window(vote.user), f"/posts/{vote.entity_id}/vote"
    alice.send(address, vote_type="down")
    vote.refresh_from_db()
    assert vote.vote_type == "down"
    alice.send(address, vote_type="none")
    assert not Vote.objects.exists()


def test_a_comment_is_voted_on():
    alice, comment = window(), CommentFactory()
    page = shown(alice.send(f"/comments/{comment.pk}/vote", vote_type="up"))
    assert "<span data-score>1</span>" in page


def test_without_a_way_back_a_vote_leads_to_what_was_voted_on():
    alice, post = window(), PostFactory()
    for elsewhere in ("", "https://evil.example/", "//evil.example", "javascript:alert(1)"):
        response = alice.post(f"/posts/{post.pk}/vote", {"vote_type": "up", "next": elsewhere})
        assert response.headers["Location"] == f"/posts/{post.pk}"


def test_a_stranger_signs_in_first_and_comes_back_to_the_list():
    post = PostFactory()
    response = Window().post(f"/posts/{post.pk}/vote", {"vote_type": "up", "next": "/?sort=new"})
    assert response.headers["Location"] == "/login?next=/%3Fsort%3Dnew"
    assert not Vote.objects.exists()


@pytest.mark.parametrize("address", ["/posts/999/vote", "/comments/999/vote"])
def test_what_is_not_there_cannot_be_voted_on(address):
    shown(window().send(address, vote_type="up"), 404)


def test_a_vote_is_up_or_down():
    shown(window().send(f"/posts/{PostFactory().pk}/vote", vote_type="sideways"), 422)


def test_a_vote_needs_a_form():
    Window().read(f"/posts/{PostFactory().pk}/vote", 405)
