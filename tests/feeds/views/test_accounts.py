"""Pages of accounts: register, sign in and out, settings, tokens, delete."""

import datetime as dt
import re

import pytest
from django.contrib.auth import SESSION_KEY
from django.utils import timezone

from feeds.actions import token_of_secret
from feeds.models import User
from tests.support.browsers import Window, shown, window
from tests.support.factories import BlockFactory, MuteFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.home]

PASSWORD = "correct horse battery"


def with_password(**fields: object) -> User:
    """A user with PASSWORD."""
    user = UserFactory(**fields)
    user.set_password(PASSWORD)
    user.save()
    return user


def test_registering_opens_an_account_and_signs_in():
    browser = Window()
    page = shown(browser.send("/register", username="Alice", password=PASSWORD, next="/circles"))
    assert "Welcome, Alice!" in page
    assert "<h1>Circles</h1>" in page
    assert browser.session[SESSION_KEY] == str(User.objects.get().pk)


@pytest.mark.parametrize(
    ("username", "password", "error"),
    [
        ("ALICE", PASSWORD, "This username is already taken. Choose another."),
        ("no spaces", PASSWORD, "Use 1 to 30 letters"),
        ("x" * 31, PASSWORD, "Use 1 to 30 letters"),
        ("bob", "12345678", "too common"),
        ("bob", "", "This field is required."),
    ],
)
def test_a_refused_registration_says_why_and_keeps_the_name(username, password, error):
    UserFactory(username="alice")
    page = shown(Window().send("/register", username=username, password=password, email="a@example.org"), 422)
    assert error in page
    assert f'value="{username}"' in page
    assert 'value="a@example.org"' in page
    assert User.objects.count() == 1


def test_signing_in_disregards_case_and_leads_back():
    with_password(username="Alice")
    browser = Window()
    response = browser.post("/login", {"username": "alice", "password": PASSWORD, "next": "/posts/new"})
    assert response.headers["Location"] == "/posts/new"


@pytest.mark.parametrize("wanted", ["/login", "/login?next=/login", "http://testserver/login"])
def test_one_who_is_signed_in_is_not_led_to_signing_in(wanted):
    assert window().get("/login", {"next": wanted}).headers["Location"] == "/"


def test_signing_in_leads_nowhere_else():
    with_password(username="alice")
    response = Window().post("/login", {"username": "alice", "password": PASSWORD, "next": "https://evil.example"})
    assert response.headers["Location"] == "/"


def test_a_wrong_password_says_so():
    with_password(username="alice")
    page = shown(Window().send("/login", username="alice", password="wrong"))
    assert "Wrong username or password." in page


def test_a_banned_user_cannot_sign_in():
    with_password(username="alice", is_active=False)
    browser = Window()
    browser.send("/login", username="alice", password=PASSWORD)
    assert SESSION_KEY not in browser.session


def test_signing_out_takes_a_form():
    alice = window()
    assert "Sign out?" in alice.read("/logout")
    assert SESSION_KEY in alice.session
    alice.send("/logout")
    assert SESSION_KEY not in alice.session


def test_who_is_signed_in_needs_neither_form():
    alice = window()
    for address in ("/login", "/register"):
        assert alice.get(address).status_code == 302


# Settings


def test_settings_are_for_who_is_signed_in():
    assert Window().get("/settings").headers["Location"] == "/login?next=/settings"


def test_name_and_address_are_changed():
    alice = window(with_password())
    values = {"username": "Alicia", "email": "alicia@example.org"}
    for current in ({}, {"current": "wrong"}):
        shown(alice.send("/settings/account", **values, **current), 422)
    page = shown(alice.send("/settings/account", **values, current=PASSWORD))
    assert "Account updated." in page
    alice.user.refresh_from_db()
    assert (alice.user.username, alice.user.email) == ("Alicia", "alicia@example.org")


def test_a_refused_name_stands_in_its_field_alone():
    UserFactory(username="taken")
    alice = window(with_password(username="alice"))
    page = shown(alice.send("/settings/account", username="Taken", email="", current=PASSWORD), 422)
    assert "This username is already taken. Choose another." in page
    assert '<span class="me" dir="auto">alice</span>' in page
    assert 'value="Taken"' in page


def test_a_password_is_changed_by_who_knows_the_old_one():
    alice = window(with_password())
    elsewhere = window(alice.user)
    wrong = {"password-current": "wrong", "password-password": "another horse battery"}
    assert "Wrong password." in shown(alice.send("/settings/password", **wrong), 422)
    right = wrong | {"password-current": PASSWORD}
    assert "Password changed." in shown(alice.send("/settings/password", **right))
    alice.user.refresh_from_db()
    assert alice.user.check_password("another horse battery")
    assert elsewhere.get("/settings").status_code == 302


def test_a_weak_new_password_says_why():
    alice = window(with_password())
    values = {"password-current": PASSWORD, "password-password": "12345678"}
    assert "too common" in shown(alice.send("/settings/password", **values), 422)


def test_a_token_is_shown_once_and_revoked():
    alice = window()
    shown(alice.send("/settings/tokens", **{"token-name": "backup", "token-expires": "90"}), 422)
    values = {"token-name": "backup", "token-scopes": ["read"], "token-expires": "90"}
    page = shown(alice.send("/settings/tokens", **values))
    found = re.search(r'<code class="secret">([^<]+)</code>', page)
    assert found
    assert token_of_secret(found[1]).user == alice.user
    assert found[1] not in alice.read("/settings")
    token = alice.user.tokens.get()
    assert token.scopes == "read"
    assert dt.timedelta(days=89) < token.expires_at - timezone.now() < dt.timedelta(days=91)
    shown(window().send(f"/settings/tokens/{token.pk}"), 404)
    alice.send(f"/settings/tokens/{token.pk}")
    assert token_of_secret(found[1]) is None


def test_whom_one_keeps_away_is_listed():
    alice = window()
    blocked, muted = BlockFactory(user=alice.user).target, MuteFactory(user=alice.user).target
    page = alice.read("/settings")
    assert blocked.username in page
    assert muted.username in page


def test_leaving_takes_the_password():
    alice = window(with_password(username="alice"))
    shown(alice.send("/settings/delete", **{"leaving-current": "wrong"}), 422)
    page = shown(alice.send("/settings/delete", **{"leaving-current": PASSWORD}))
    assert "Your account has been deleted." in page
    assert not User.objects.named("alice").exists()
    assert SESSION_KEY not in alice.session
