"""Deeds of visitors: what was sent before the sign-in goes on after it, once, as the user who signed in."""

from __future__ import annotations

import datetime as dt
import re
import secrets
import time

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone

from events.testing import deliver
from feeds.models import ApiToken, Circle, Comment, Follow, Membership, Post, User, Vote
from feeds.views.deeds import KEPT, KEPT_FOR
from tests.support.api_client import PASSWORD as PASSWORD_WITH_FACTOR
from tests.support.browsers import Window, shown, window
from tests.support.factories import BlockFactory, CircleFactory, CommentFactory, PostFactory, UserFactory
from tests.support.factors import with_factor

pytestmark = [pytest.mark.django_db, pytest.mark.home]

PASSWORD = "correct horse battery"


@pytest.fixture
def alice() -> User:
    """Somebody with PASSWORD."""
    user = UserFactory(username="alice")
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in(browser: Window, username: str = "alice", password: str = PASSWORD, **values: str):
    """Send the sign-in form, and follow where it leads."""
    return browser.send("/login", username=username, password=password, **values)


def led_to(response) -> str:
    """The address where following ended."""
    return response.redirect_chain[-1][0]


def comment(browser: Window, post: Post, content: str = "My **words**", **values: object):
    """Send the form of a comment."""
    page = f"/posts/{post.pk}"
    return browser.send(f"{page}/comments", **({"content": content, "next": page} | values))


def test_a_comment_goes_on_after_the_sign_in(alice):
    browser, post = Window(), PostFactory()
    response = comment(browser, post)
    assert led_to(response) == f"/login?next=/posts/{post.pk}"
    assert "Your comment is kept for an hour. Sign in, and it goes on." in shown(response)
    response = sign_in(browser, next=f"/posts/{post.pk}")
    written = Comment.objects.get()
    assert (written.author, written.content) == (alice, "My **words**")
    assert led_to(response) == f"/posts/{post.pk}?comment={written.pk}#comment-{written.pk}"
    assert "Comment posted." in shown(response)
    assert "<strong>words</strong>" in shown(response)


def test_a_reply_goes_on_after_the_sign_in(alice):
    browser, first = Window(), CommentFactory()
    comment(browser, first.post, parent_id=first.pk)
    sign_in(browser)
    assert Comment.objects.get(author=alice).parent == first


def test_a_post_goes_on_after_the_sign_in(alice):
    browser = Window()
    assert "Your post is kept" in shown(browser.send("/posts/new", title="A title", body="A text", next="/posts/new"))
    response = sign_in(browser)
    assert led_to(response) == f"/posts/{Post.objects.get(author=alice, title='A title', status='published').pk}"
    assert "Your post is published." in shown(response)


def test_a_draft_stays_a_draft_after_the_sign_in(alice):
    browser = Window()
    browser.send("/posts/new", title="A title", draft="1")
    assert led_to(sign_in(browser)) == "/drafts"
    assert Post.objects.get(author=alice).status == "draft"


def test_an_edit_goes_on_after_the_sign_in(alice):
    browser, post, said = Window(), PostFactory(author=alice), CommentFactory(author=alice)
    for address, values in (
        (f"/posts/{post.pk}/edit", {"title": "Better", "body": ""}),
        (f"/comments/{said.pk}/edit", {"content": "Better"}),
    ):
        assert "Your changes are kept" in shown(browser.send(address, **values))
        sign_in(browser)
        browser.send("/logout")
    post.refresh_from_db()
    said.refresh_from_db()
    assert (post.title, said.content) == ("Better", "Better")


def test_a_vote_goes_on_and_one_lands_in_the_list_where_one_was(alice):
    browser, post = Window(), PostFactory()
    deliver()
    back = re.search(r'class="votes".*?name="next" value="([^"]+)"', browser.read("/"), re.DOTALL)
    assert back
    assert back[1] == f"/?sort=hot#post-{post.pk}"
    assert "Your vote is kept" in shown(browser.send(f"/posts/{post.pk}/vote", vote_type="up", next=back[1]))
    response = sign_in(browser)
    assert Vote.objects.get().user == alice
    assert led_to(response) == back[1]
    assert "Your vote is saved." in shown(response)


def test_a_follow_goes_on_after_the_sign_in(alice):
    browser, bob = Window(), UserFactory(username="bob")
    assert "Your choice is kept" in shown(browser.send("/users/bob/ties", verb="follow", next="/users/bob"))
    response = sign_in(browser)
    assert Follow.objects.filter(follower=alice, followee=bob).exists()
    assert led_to(response) == "/users/bob"
    assert "You follow bob now." in shown(response)


def test_who_would_follow_oneself_is_told_why_not(alice):
    browser = Window()
    browser.send("/users/alice/ties", verb="follow", next="/users/alice")
    page = shown(sign_in(browser))
    assert "You can&#x27;t follow yourself." in page
    assert "You follow" not in page


def test_joining_a_circle_goes_on_after_the_sign_in(alice):
    browser, circle = Window(), CircleFactory()
    browser.send(f"/circles/{circle.slug}/membership", verb="join", next=f"/circles/{circle.slug}")
    page = shown(sign_in(browser))
    assert Membership.objects.filter(circle=circle, user=alice).exists()
    assert "You have joined the circle." in page


def test_a_new_circle_goes_on_after_the_sign_in(alice):
    browser = Window()
    assert "Your circle is kept" in shown(browser.send("/circles/new", name="Gardening"))
    assert led_to(sign_in(browser)) == "/circles/gardening"
    assert Circle.objects.get().owner == alice


def test_a_comment_goes_on_after_registering():
    browser, post = Window(), PostFactory()
    comment(browser, post)
    page = shown(browser.send("/register", username="newcomer", password=PASSWORD))
    assert Comment.objects.get().author.username == "newcomer"
    assert "Welcome, newcomer!" in page
    assert "Comment posted." in page


def test_a_wrong_password_loses_nothing(alice):
    browser, post = Window(), PostFactory()
    comment(browser, post)
    page = shown(sign_in(browser, password="wrong"))
    assert "Wrong username or password." in page
    assert "Your comment is kept" in page
    sign_in(browser)
    assert Comment.objects.get().author == alice


def test_a_session_that_ended_while_typing_loses_nothing(alice):
    browser, post = Window(), PostFactory()
    sign_in(browser)
    form = browser.read(f"/posts/{post.pk}")
    assert f'name="as" value="{alice.pk}"' in form
    Session.objects.all().delete()
    comment(browser, post, **{"as": alice.pk})
    sign_in(browser)
    assert Comment.objects.get().author == alice


def test_opening_the_sign_in_carries_nothing_out(alice):
    browser, post = Window(), PostFactory()
    comment(browser, post)
    browser.read(f"/login?next=/posts/{post.pk}")
    browser.read("/register")
    browser.read("/")
    assert not Comment.objects.exists()
    assert KEPT in browser.session


def test_a_deed_is_carried_out_once_and_for_nobody_later(alice):
    browser, post = Window(), PostFactory()
    comment(browser, post)
    sign_in(browser)
    assert KEPT not in browser.session
    browser.send("/logout")
    browser.send("/register", username="newcomer", password=PASSWORD)
    assert Comment.objects.get().author == alice


def test_what_another_user_wrote_is_sent_only_if_asked_for(alice):
    browser, post = Window(), PostFactory()
    comment(browser, post, content="As I said", **{"as": UserFactory().pk})
    browser.defaults["HTTP_ORIGIN"] = "http://testserver"
    response = sign_in(browser)
    page = shown(response, 409)
    assert "You wrote this while signed in as somebody else. Send it as alice?" in page
    assert "As I said" in page
    assert not Comment.objects.exists()
    assert KEPT not in browser.session


def test_the_newer_deed_replaces_the_older(alice):
    browser, post = Window(), PostFactory()
    comment(browser, post, content="First")
    comment(browser, post, content="Second")
    sign_in(browser)
    assert [one.content for one in Comment.objects.all()] == ["Second"]


def test_after_an_hour_it_is_gone_and_one_is_told(alice):
    browser, post = Window(), PostFactory()
    comment(browser, post)
    session = browser.session
    session[KEPT] |= {"at": time.time() - KEPT_FOR - 1}
    session.save()
    assert "is kept" not in browser.read("/login")
    page = shown(sign_in(browser))
    assert "What you sent was kept for an hour, which is over." in page
    assert not Comment.objects.exists()


def test_a_visitors_session_ends_with_the_hour_and_a_users_does_not(alice):
    browser, post = Window(), PostFactory()
    comment(browser, post)
    assert browser.session.get_expiry_age() == KEPT_FOR
    visitor = browser.session.session_key
    sign_in(browser)
    assert browser.session.get_expiry_age() > KEPT_FOR
    assert browser.session.session_key != visitor, "nobody who knew the old key is signed in"


def test_sessions_that_expired_make_room():
    old = timezone.now() - dt.timedelta(days=1)
    Session.objects.bulk_create(Session(session_key=f"old{n}", session_data="", expire_date=old) for n in range(3))
    comment(Window(), PostFactory())
    assert Session.objects.count() == 1


@pytest.mark.parametrize(
    ("address", "values"),
    [
        ("/settings/tokens", {"token-name": "mine", "token-scopes": "read", "token-expires": "0"}),
        ("/settings/account", {"username": "other", "email": ""}),
        ("/settings/delete", {"leaving-current": PASSWORD}),
        ("/notifications/read", {"upto": "1"}),
    ],
)
def test_settings_are_never_changed_by_what_was_sent_before(alice, address, values):
    browser = Window()
    browser.send(address, **values)
    assert KEPT not in browser.session
    sign_in(browser)
    alice.refresh_from_db()
    assert (alice.username, alice.is_active, ApiToken.objects.count()) == ("alice", True, 0)


def test_nothing_is_deleted_by_what_was_sent_before(alice):
    browser, post, said = Window(), PostFactory(author=alice), CommentFactory(author=alice)
    for address in (f"/posts/{post.pk}/delete", f"/comments/{said.pk}/delete"):
        response = browser.send(address)
        assert led_to(response).startswith("/login")
        assert KEPT not in browser.session
    sign_in(browser)
    assert Post.objects.filter(pk=post.pk, deleted_at=None).exists()
    assert Comment.objects.visible().filter(pk=said.pk).exists()


def test_signing_in_elsewhere_drops_it(alice):
    browser, post = Window(), PostFactory()
    comment(browser, post)
    values = {"username": "alice", "password": PASSWORD}
    assert browser.post("/api/login", values, content_type="application/json").status_code == 200
    assert SESSION_KEY in browser.session
    assert KEPT not in browser.session
    assert not Comment.objects.exists()


def test_it_leads_to_no_other_site(alice):
    browser, post = Window(), PostFactory()
    response = browser.post(f"/posts/{post.pk}/vote", {"vote_type": "up", "next": "https://evil.example/"})
    assert response.headers["Location"] == "/login?next=/"
    response = browser.post("/login", {"username": "alice", "password": PASSWORD, "next": "https://evil.example/"})
    assert response.headers["Location"] == f"/posts/{post.pk}"


def test_a_form_without_an_address_leads_back_to_the_page_it_was_on():
    response = Window(headers={"referer": "http://testserver/settings?tab=1"}).post("/settings/account", {})
    assert response.headers["Location"] == "/login?next=/settings%3Ftab%3D1"
    response = Window(headers={"referer": "http://evil.example/settings"}).post("/settings/account", {})
    assert response.headers["Location"] == "/login?next=/"


def test_what_is_too_long_to_be_kept_stays_on_the_page():
    browser = Window(headers={"origin": "http://testserver"})
    text = secrets.token_hex(120_000)
    page = shown(browser.send("/posts/new", title="Noise", body=text), 403)
    assert "This is too long to be kept." in page
    assert text in page
    assert KEPT not in browser.session


@pytest.mark.parametrize("letters", ["abcdefgh ", "".join(map(chr, range(0x4E00, 0x4E00 + 2_500)))], ids=["en", "zh"])
def test_the_longest_post_is_kept(alice, letters):
    text = "".join(secrets.choice(letters) for _ in range(Post.BODY_LENGTH - 2))
    browser = Window()
    assert "Your post is kept" in shown(browser.send("/posts/new", title="Long", body=f"a{text}z"))
    sign_in(browser)
    assert Post.objects.get().body == f"a{text}z"


def test_a_deed_that_is_refused_shows_its_text_and_why(alice):
    browser, post = Window(headers={"origin": "http://testserver"}), PostFactory()
    BlockFactory(user=post.author, target=alice)
    comment(browser, post, content="In vain")
    page = shown(sign_in(browser), 403)
    assert "This person has blocked you." in page
    assert "In vain" in page
    assert 'data-user="' in page


def test_a_deed_with_an_error_comes_back_in_its_form(alice):
    browser, first = Window(), CommentFactory()
    text = "long " * 2_001
    comment(browser, first.post, content=text, parent_id=first.pk)
    page = shown(sign_in(browser), 422)
    assert "at most 10000" in page
    assert text.strip() in page
    assert f'action="/posts/{first.post_id}/comments"' in page


def test_a_deed_on_what_is_gone_shows_its_text(alice):
    browser, post = Window(headers={"origin": "http://testserver"}), PostFactory()
    comment(browser, post, content="Too late")
    post.delete()
    page = shown(sign_in(browser), 404)
    assert "Too late" in page


# Where visitors are led


def test_reply_leads_a_visitor_to_the_sign_in_and_to_the_open_form(alice):
    browser, first = Window(), CommentFactory()
    page = browser.read(f"/posts/{first.post_id}")
    link = re.search(r'href="(/login\?next=[^"]+)" data-reply', page)
    assert link
    form = browser.read(link[1].replace("&amp;", "&"))
    back = re.search(r'name="next" value="([^"]+)"', form)
    assert back
    assert back[1] == f"/posts/{first.post_id}?reply_to={first.pk}#comment-{first.pk}"
    page = shown(sign_in(browser, next=back[1]))
    assert f'name="parent_id" value="{first.pk}"' in page


def test_sign_in_and_register_lead_back_to_the_page_one_is_on():
    post = PostFactory()
    page = Window().read(f"/posts/{post.pk}")
    assert f'href="/login?next=%2Fposts%2F{post.pk}"' in page
    assert f'href="/register?next=%2Fposts%2F{post.pk}"' in page
    assert 'href="/login"' in Window().read("/")
    assert 'href="/login"' in Window().read("/login?next=/circles")


# Forms of another session


def test_an_expired_form_shows_what_was_sent_and_sends_it_again():
    alice, post = window(), PostFactory()
    browser = Window(enforce_csrf_checks=True, headers={"origin": "http://testserver"})
    browser.force_login(alice.user)
    page = shown(browser.send(f"/posts/{post.pk}/comments", content="Words <b>", csrfmiddlewaretoken="old"), 403)
    assert "This form has expired" in page
    assert "Words &lt;b&gt;</textarea>" in page
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    browser.send(f"/posts/{post.pk}/comments", content="Words <b>", csrfmiddlewaretoken=token[1])
    assert Comment.objects.get().content == "Words <b>"


def test_a_form_of_another_site_is_not_offered_again():
    browser = Window(enforce_csrf_checks=True)
    browser.force_login(UserFactory())
    address = f"/posts/{PostFactory().pk}/comments"
    for headers in ({"origin": "https://evil.example"}, {"referer": "https://evil.example/"}, {}):
        page = shown(browser.post(address, {"content": "Buy this"}, headers=headers), 403)
        assert "This form has expired" in page
        assert "Buy this" not in page


def test_no_page_repeats_a_password():
    browser = Window(enforce_csrf_checks=True, headers={"origin": "http://testserver"})
    page = shown(browser.post("/login", {"username": "alice", "password": PASSWORD}), 403)
    assert PASSWORD not in page


def test_who_writes_too_often_keeps_the_text_on_the_page(limited):
    limited(WRITE="1/60")
    alice, post = window(origin="http://testserver"), PostFactory()
    comment(alice, post, content="First")
    page = shown(comment(alice, post, content="Too soon"), 429)
    assert "Too soon</textarea>" in page
    assert [one.content for one in Comment.objects.all()] == ["First"]


def test_visitors_keep_no_more_than_they_may_write(limited):
    limited(WRITE="1/60")
    post = PostFactory()
    shown(comment(Window(), post))
    shown(comment(Window(), post), 429)
    assert Session.objects.count() == 1


def test_a_deed_is_not_lost_to_the_limit_of_the_user(alice, limited):
    browser, post = Window(), PostFactory()
    comment(browser, post)
    limited(WRITE="1/60")
    sign_in(browser)
    assert Comment.objects.get().author == alice


def test_a_comment_goes_on_after_the_second_step_and_not_before():
    user, app, _codes = with_factor("carol")
    browser, post = Window(), PostFactory()
    comment(browser, post)
    page = shown(sign_in(browser, "carol", password=PASSWORD_WITH_FACTOR))
    assert "Your comment is kept" in page
    assert not Comment.objects.exists()
    browser.send("/login/code", code=app.wrong_code())
    browser.send("/login/code", code=app.code())
    assert Comment.objects.get().author == user
