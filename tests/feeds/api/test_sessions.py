"""The API and the settings page: the sessions of a user, ended one by one or all."""

import datetime as dt
from unittest.mock import patch

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, SESSION_KEY
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from feeds.models import User, UserSession
from feeds.sessions.seen import notes
from feeds.sessions.store import SessionStore
from tests.support.api_client import PASSWORD, Program, browser, says, signed_up
from tests.support.browsers import Window, shown, window
from tests.support.factories import UserFactory
from tests.support.ways_to_write import delete_in_admin, delete_selected_in_admin, staff_client

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
ANOTHER_PASSWORD = "another horse 2"


def key_of(client: Client) -> str:
    return str(client.session.session_key)


def test_a_session_is_listed_with_browser_and_network() -> None:
    signed_up("alice")
    alice = Program(headers={"User-Agent": FIREFOX}, REMOTE_ADDR="192.0.2.77")
    assert alice.post("/login", {"username": "alice", "password": PASSWORD}).status_code == 200
    [listed] = alice.get("/sessions").json()
    assert (listed["current"], listed["browser"], listed["network"]) == (True, "Firefox, Linux", "192.0.2.0/24")
    assert listed["created_at"]
    assert listed["last_seen_at"]
    assert key_of(alice.client) not in str(listed)


def test_who_registers_has_a_session() -> None:
    alice = Program()
    alice.post("/register", {"username": "alice", "password": PASSWORD})
    assert [session["current"] for session in alice.get("/sessions").json()] == [True]


def test_only_ones_own_sessions_are_listed_and_ended() -> None:
    alice, bob = browser(UserFactory()), browser(UserFactory())
    [listed] = alice.get("/sessions").json()
    says(bob.delete(f"/sessions/{listed['id']}"), 404)
    assert [session["id"] for session in bob.get("/sessions").json()] != [listed["id"]]
    assert alice.get("/me").status_code == 200


def test_one_session_is_ended() -> None:
    user = UserFactory()
    here, there, third = browser(user), browser(user), browser(user)
    listed = here.get("/sessions").json()
    assert [session["current"] for session in listed].count(True) == 1
    there_id = UserSession.objects.get(session_key=key_of(there.client)).pk
    assert here.delete(f"/sessions/{there_id}").status_code == 204
    says(here.delete(f"/sessions/{there_id}"), 404)
    assert (here.get("/me").status_code, there.get("/me").status_code, third.get("/me").status_code) == (200, 401, 200)
    assert len(here.get("/sessions").json()) == 2


def test_ending_the_current_session_signs_out() -> None:
    alice = browser(UserFactory())
    [listed] = alice.get("/sessions").json()
    assert alice.delete(f"/sessions/{listed['id']}").status_code == 204
    assert alice.get("/me").status_code == 401


def test_all_other_sessions_are_ended() -> None:
    user, bob = UserFactory(), browser(UserFactory())
    here, others = browser(user), [browser(user) for _ in range(3)]
    assert here.delete("/sessions").status_code == 204
    assert here.delete("/sessions").status_code == 204
    assert [other.get("/me").status_code for other in others] == [401, 401, 401]
    assert here.get("/me").status_code == bob.get("/me").status_code == 200
    assert [session["current"] for session in here.get("/sessions").json()] == [True]


def test_a_token_neither_lists_nor_ends_sessions() -> None:
    alice = Program(UserFactory())
    browser(alice.user)
    session = alice.user.sessions.get()
    for method, path in (("GET", "/sessions"), ("DELETE", "/sessions"), ("DELETE", f"/sessions/{session.pk}")):
        says(alice.send(method, path), 403, "token")
    assert alice.user.sessions.exists()


def test_signing_out_removes_what_is_known_of_the_browser() -> None:
    alice = browser(UserFactory())
    assert alice.post("/logout").status_code == 204
    assert not UserSession.objects.exists()
    assert not Session.objects.exists()


def test_an_expired_session_is_not_listed_and_is_cleared() -> None:
    user = UserFactory()
    here, there = browser(user), browser(user)
    Session.objects.filter(session_key=key_of(there.client)).update(expire_date=timezone.now())
    assert len(here.get("/sessions").json()) == 1
    call_command("clearsessions")
    assert [row.session_key for row in UserSession.objects.all()] == [key_of(here.client)]


def test_a_new_password_keeps_this_session_in_the_list_and_ends_the_others() -> None:
    user = signed_up("alice")
    here, there = browser(user), browser(user)
    before = UserSession.objects.get(session_key=key_of(here.client))
    assert here.patch("/me", {"password": ANOTHER_PASSWORD, "current_password": PASSWORD}).status_code == 200
    [listed] = here.get("/sessions").json()
    assert (listed["current"], listed["id"]) == (True, before.pk)
    assert there.get("/me").status_code == 401
    assert UserSession.objects.get().session_key == key_of(here.client) != before.session_key


def test_a_password_set_by_another_ends_all_sessions() -> None:
    user = signed_up("alice")
    here = browser(user)
    user.set_password(ANOTHER_PASSWORD)
    user.save()
    assert not UserSession.objects.exists()
    assert here.get("/me").status_code == 401


def test_leaving_ends_all_sessions() -> None:
    user = signed_up("alice")
    here, there = browser(user), browser(user)
    assert here.delete("/me", {"current_password": PASSWORD}).status_code == 204
    assert there.get("/me").status_code == 401
    assert not UserSession.objects.exists()
    assert not Session.objects.exists()


def test_a_session_from_before_the_list_goes_on_and_appears_in_it() -> None:
    user = UserFactory()
    here = browser(user)
    UserSession.objects.all().delete()
    notes.forget()
    assert here.get("/me").status_code == 200
    assert [session["current"] for session in here.get("/sessions").json()] == [True]


def test_sessions_of_django_and_ours_are_the_same() -> None:
    """So that two releases can run side by side."""
    for writer, reader in ((DatabaseStore, SessionStore), (SessionStore, DatabaseStore)):
        written = writer()
        written["word"] = "quince"
        written.save()
        assert reader(written.session_key)["word"] == "quince"


def test_an_end_by_a_release_without_the_list_is_not_listed() -> None:
    user = UserFactory()
    here, there = browser(user), browser(user)
    DatabaseStore(key_of(there.client)).delete()
    assert [session["current"] for session in here.get("/sessions").json()] == [True]


def test_the_use_of_a_session_is_noted_once_an_hour_and_not_at_each_request() -> None:
    here = browser(UserFactory())
    long_ago = timezone.now() - dt.timedelta(days=1)
    UserSession.objects.update(last_seen_at=long_ago)
    with CaptureQueriesContext(connection) as queries:
        here.get("/me")
    assert not [query for query in queries if query["sql"].startswith(("UPDATE", "INSERT"))]
    assert UserSession.objects.get().last_seen_at == long_ago
    notes.forget()
    here.get("/me")
    assert UserSession.objects.get().last_seen_at > long_ago


def test_who_is_not_signed_in_has_no_session_in_the_list() -> None:
    Window().read("/")
    Program().get("/posts")
    assert not UserSession.objects.exists()


def test_signing_in_as_another_in_the_same_browser_ends_the_first_session() -> None:
    alice = browser(signed_up("alice"))
    signed_up("bob")
    assert alice.post("/login", {"username": "bob", "password": PASSWORD}).status_code == 200
    assert UserSession.objects.get().user == User.objects.get(username="bob")
    assert alice.client.session[SESSION_KEY] == str(User.objects.get(username="bob").pk)


def test_the_page_lists_and_ends_sessions_without_javascript() -> None:
    here = window(**{"user-agent": FIREFOX})
    there, third = window(here.user), window(here.user)
    page = here.read("/settings")
    assert page.count("Unknown browser") == 3  # a test signs in without a header
    assert "this browser" in page
    there_id = UserSession.objects.get(session_key=key_of(there)).pk
    assert "Signed out there." in shown(here.send(f"/settings/sessions/{there_id}"))
    assert there.get("/settings").status_code == 302
    assert third.get("/settings").status_code == 200
    assert "Signed out everywhere else." in shown(here.send("/settings/sessions"))
    assert third.get("/settings").status_code == 302
    assert "Sign out everywhere else" not in here.read("/settings")


def test_the_admin_ends_a_session_by_deleting_it() -> None:
    staff, here, there = staff_client(), browser(UserFactory()), browser(UserFactory())
    delete_in_admin(staff, here.user.sessions.get())
    delete_selected_in_admin(staff, there.user.sessions.get())
    assert (here.get("/me").status_code, there.get("/me").status_code) == (401, 401)


def test_a_session_of_an_earlier_release_is_good_and_one_of_this_release_is_good_there() -> None:
    signed_up("alice")
    alice = Program()
    alice.post("/login", {"username": "alice", "password": PASSWORD})
    # The only backend of earlier releases.
    assert alice.client.session[BACKEND_SESSION_KEY] == "django.contrib.auth.backends.ModelBackend"
    assert alice.get("/me").status_code == 200


def test_no_other_backend_is_asked_for_a_password_that_was_refused() -> None:
    signed_up("alice")
    with patch.object(ModelBackend, "authenticate", autospec=True, return_value=None) as asked:
        says(Program().post("/login", {"username": "alice", "password": "wrong"}), 401)
    assert asked.call_count == 1
