"""Once: a form that is sent twice makes one thing; changed and sent again, it asks and drops nothing."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.utils import timezone
from django.utils.html import escape

from events.testing import deliver
from feeds.models import ApiToken, Circle, Comment, Post, SentForm
from notifications.models import Notification
from tests.support.browsers import Window, shown, window
from tests.support.factories import CommentFactory, PostFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.home]

QUESTION = "You have sent this form already:"


def key_in(page: str, name: str = "key") -> str:
    """The one-time key of the first form of a page."""
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found
    return found[1]


def test_a_post_that_is_sent_twice_is_made_once():
    alice = window()
    form = {"title": "Twice", "body": "sent", "key": key_in(alice.read("/posts/new"))}
    first, second = alice.post("/posts/new", form), alice.post("/posts/new", form)
    assert first.headers["Location"] == second.headers["Location"] == f"/posts/{Post.objects.get().pk}"
    assert "Your post is published." in alice.read(second.headers["Location"])


def test_a_comment_that_is_sent_twice_is_made_once_and_told_once():
    alice, post = window(), PostFactory()
    form = {"content": "Twice", "key": key_in(alice.read(f"/posts/{post.pk}"))}
    first, second = (alice.post(f"/posts/{post.pk}/comments", form) for _ in range(2))
    deliver()
    said = Comment.objects.get()
    where = f"/posts/{post.pk}?comment={said.pk}#comment-{said.pk}"
    assert first.headers["Location"] == second.headers["Location"] == where
    assert Notification.objects.filter(user=post.author).exclude(kind="welcome").count() == 1


def test_a_circle_that_is_sent_twice_is_made_once():
    alice = window()
    form = {"name": "Gardening", "key": key_in(alice.read("/circles/new"))}
    for _ in range(2):
        assert alice.post("/circles/new", form).headers["Location"] == "/circles/gardening"
    assert Circle.objects.count() == 1


def test_a_token_that_is_asked_for_twice_is_made_once():
    alice = window()
    key = key_in(alice.read("/settings"), "token-key")
    form = {"token-name": "backup", "token-scopes": ["read"], "token-expires": "90", "token-key": key}
    assert 'class="secret"' in shown(alice.send("/settings/tokens", **form))
    page = shown(alice.send("/settings/tokens", **form))
    assert "You have created this token already." in page
    assert 'class="secret"' not in page
    assert ApiToken.objects.count() == 1


def test_other_content_with_the_same_key_asks_first():
    alice, post = window(), PostFactory()
    address = f"/posts/{post.pk}/comments"
    key = key_in(alice.read(f"/posts/{post.pk}"))
    first = alice.post(address, {"content": "First", "key": key}).headers["Location"]
    page = shown(alice.send(address, content="Second <b>", key=key), 422)
    assert QUESTION in page
    assert f'<a href="{escape(first)}">' in page
    assert "Second &lt;b&gt;</textarea>" in page
    assert [one.content for one in Comment.objects.all()] == ["First"]
    assert key_in(page) != key
    alice.send(address, content="Second <b>", key=key_in(page))
    assert [one.content for one in Comment.objects.order_by("pk")] == ["First", "Second <b>"]


def test_other_content_of_a_post_asks_first_and_keeps_its_text():
    alice = window()
    key = key_in(alice.read("/posts/new"))
    alice.send("/posts/new", title="One", draft="1", key=key)
    page = shown(alice.send("/posts/new", title="Two", body="Words", key=key), 422)
    assert QUESTION in page
    assert '<a href="/drafts">' in page
    assert 'value="Two"' in page
    assert "Words</textarea>" in page
    assert Post.objects.count() == 1
    shown(alice.send("/posts/new", title="Two", body="Words", key=key_in(page)))
    assert Post.objects.count() == 2


def test_each_form_that_is_shown_has_a_key_of_its_own():
    alice, post = window(), PostFactory()
    pages = ["/posts/new", "/posts/new", f"/posts/{post.pk}", f"/posts/{post.pk}", "/circles/new"]
    keys = {key_in(alice.read(page)) for page in pages}
    assert len(keys) == len(pages)
    assert all(len(key) >= 20 for key in keys)


def test_the_same_words_in_a_new_form_on_the_same_page_ask_first():
    alice, post = window(), PostFactory()
    address = f"/posts/{post.pk}/comments"
    first = alice.post(address, {"content": "+1", "key": key_in(alice.read(f"/posts/{post.pk}"))}).headers["Location"]
    page = shown(alice.send(address, content="+1", key=key_in(alice.read(f"/posts/{post.pk}"))), 422)
    assert f'<a href="{escape(first)}">' in page
    assert Comment.objects.count() == 1
    shown(alice.send(address, content="+1", key=key_in(page)))
    assert Comment.objects.count() == 2


def test_the_same_words_elsewhere_or_later_are_just_said():
    alice, post, other = window(), PostFactory(), PostFactory()
    for one in (post, other):
        alice.send(f"/posts/{one.pk}/comments", content="+1", key=key_in(alice.read(f"/posts/{one.pk}")))
    assert Comment.objects.count() == 2
    SentForm.objects.update(sent_at=timezone.now() - dt.timedelta(minutes=11))
    alice.send(f"/posts/{post.pk}/comments", content="+1", key=key_in(alice.read(f"/posts/{post.pk}")))
    assert Comment.objects.count() == 3


def test_copies_of_a_form_below_two_comments_are_two_forms():
    alice, first = window(), CommentFactory()
    second = CommentFactory(post=first.post)
    key = key_in(alice.read(f"/posts/{first.post_id}"))
    for parent in (first, second):
        alice.send(f"/posts/{first.post_id}/comments", content="Yes", parent_id=parent.pk, key=key)
    assert {one.parent for one in Comment.objects.filter(author=alice.user)} == {first, second}


def test_a_form_without_a_key_makes_something_each_time():
    alice, post = window(), PostFactory()
    for _ in range(2):
        alice.send(f"/posts/{post.pk}/comments", content="+1")
    assert Comment.objects.count() == 2


def test_a_refused_form_can_be_sent_again_with_other_content():
    alice, post = window(), PostFactory()
    key = key_in(alice.read(f"/posts/{post.pk}"))
    page = shown(alice.send(f"/posts/{post.pk}/comments", content="long " * 2_001, key=key), 422)
    assert key_in(page) == key
    shown(alice.send(f"/posts/{post.pk}/comments", content="short", key=key))
    assert Comment.objects.get().content == "short"


def test_a_preview_uses_up_no_key():
    alice = window()
    key = key_in(alice.read("/posts/new"))
    page = shown(alice.send("/posts/new", title="One", preview="1", key=key))
    assert key_in(page) == key
    alice.send("/posts/new", title="One", key=key)
    page = shown(alice.send("/posts/new", title="One", preview="1", key=key))
    shown(alice.send("/posts/new", title="One", key=key_in(page)))
    assert Post.objects.count() == 1


def test_a_key_is_of_one_user():
    alice, bob, post = window(), window(), PostFactory()
    key = key_in(alice.read(f"/posts/{post.pk}"))
    for browser in (alice, bob):
        browser.send(f"/posts/{post.pk}/comments", content="Mine", key=key)
    assert {one.author for one in Comment.objects.all()} == {alice.user, bob.user}


def test_what_goes_on_after_the_sign_in_is_made_once():
    alice = UserFactory(username="alice")
    alice.set_password("correct horse battery")
    alice.save()
    browser, post = Window(), PostFactory()
    form = {"content": "Once", "key": "a key of a form"}
    browser.send(f"/posts/{post.pk}/comments", **form)
    browser.send("/login", username="alice", password="correct horse battery")
    shown(browser.send(f"/posts/{post.pk}/comments", **form))
    assert Comment.objects.get().author == alice
