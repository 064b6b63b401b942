"""The API: tokens with scopes and expiry, what ends them, and what no token can do."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from feeds import actions
from feeds.actions.tokens import MAX_TOKENS
from feeds.models import ApiToken, User
from tests.support.api_client import PASSWORD, Program, browser, says, signed_up
from tests.support.browsers import window
from tests.support.factories import PostFactory, UserFactory
from tests.support.ways_to_write import staff_client

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "another horse 2"


def program_of(user: User, **token: object) -> Program:
    """A program with a new token of the user, made with these fields."""
    made = browser(user).post("/tokens", {"name": "script", **token})
    assert made.status_code == 201, made.content
    return Program(token=made.json()["token"])


def earlier_token(user: User) -> Program:
    """A program with a token that was made before there were scopes."""
    _, secret = actions.create_token(user, name="earlier")
    user.tokens.update(scopes="", password_mark="")
    return Program(token=secret)


def test_a_token_is_shown_once_works_without_csrf_and_dies_when_it_is_deleted() -> None:
    alice = browser(UserFactory(username="alice"))
    made = alice.post("/tokens", {"name": "script"})
    assert made.status_code == 201
    script = Program(token=made.json()["token"])
    assert script.post("/posts", {"title": "By script"}).json()["author"] == "alice"
    [listed] = alice.get("/tokens").json()
    assert "token" not in listed
    assert (listed["name"], listed["scopes"], listed["expires"]) == ("script", ["read", "write"], None)
    assert listed["last_used_at"] is not None
    assert alice.delete(f"/tokens/{made.json()['id']}").status_code == 204
    says(script.post("/posts", {"title": "Too late"}), 401, "token")
    says(alice.delete(f"/tokens/{made.json()['id']}"), 404)


def test_a_wrong_token_is_refused_even_where_everyone_may_read() -> None:
    for header in ("Bearer airy_guess", "Bearer ", "bearer \udce4"):
        client = Client(headers={"Authorization": header.encode("utf-8", "surrogateescape").decode("latin-1")})
        says(client.get("/api/posts"), 401)


def test_the_token_of_another_cannot_be_deleted() -> None:
    token, secret = actions.create_token(UserFactory(), name="script")
    says(browser(UserFactory()).delete(f"/tokens/{token.pk}"), 404)
    says(Program(UserFactory()).delete(f"/tokens/{token.pk}"), 403)
    assert Program(token=secret).get("/me").status_code == 200


def test_a_token_to_read_does_not_write() -> None:
    post, script = PostFactory(), program_of(UserFactory(), scopes=["read"])
    assert script.get("/feed").status_code == 200
    assert script.send("HEAD", "/feed").status_code != 403
    says(script.post("/posts", {"title": "No"}), 403, "write")
    says(script.put(f"/posts/{post.pk}/vote", {"vote_type": "up"}), 403, "write")
    says(script.delete(f"/posts/{post.pk}"), 403, "write")
    says(script.post("/notifications/read", {"upto": 1}), 403, "write")


def test_a_token_to_write_does_not_read() -> None:
    script = program_of(UserFactory(), scopes=["write"])
    assert script.post("/posts", {"title": "Posted"}).status_code == 201
    says(script.get("/me"), 403, "read")


def test_an_expired_token_says_so() -> None:
    alice = UserFactory()
    script = program_of(alice, expires=(timezone.now() + dt.timedelta(hours=1)).isoformat())
    assert script.get("/me").status_code == 200
    alice.tokens.update(expires_at=timezone.now())
    says(script.get("/me"), 401, "expired")
    says(script.get("/posts"), 401, "expired")
    [listed] = browser(alice).get("/tokens").json()
    assert listed["expired"] is True


@pytest.mark.parametrize(
    "expires",
    [
        "2020-01-01T00:00:00Z",
        "2300-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "2030-01-01T00:00:00",
        "2030-01-01",
        "tomorrow",
        "1900000000",
        1_900_000_000,
        True,
        [],
    ],
)
def test_other_times_of_expiry_are_refused(expires: object) -> None:
    alice = browser(UserFactory())
    says(alice.post("/tokens", {"name": "script", "expires": expires}), 422, "expires")
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("scopes", [[], ["admin"], ["read", "write", "read"], "read", None])
def test_other_scopes_are_refused(scopes: object) -> None:
    says(browser(UserFactory()).post("/tokens", {"name": "script", "scopes": scopes}), 422, "scopes")


def test_the_number_of_tokens_is_bounded() -> None:
    user = UserFactory()
    rows = [ApiToken(user=user, name="one", digest=str(n), password_mark=user.password_mark) for n in range(MAX_TOKENS)]
    ApiToken.objects.bulk_create(rows)
    says(browser(user).post("/tokens", {"name": "one more"}), 422, "Revoke")


def by_api(user: User) -> None:
    wanted = {"password": NEW_PASSWORD, "current_password": PASSWORD}
    assert browser(user).patch("/me", wanted).status_code == 200


def by_page(user: User) -> None:
    wanted = {"password-password": NEW_PASSWORD, "password-current": PASSWORD}
    assert window(user).post("/settings/password", wanted).status_code == 302


def by_admin(user: User) -> None:
    form = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    assert staff_client().post(f"/admin/feeds/user/{user.pk}/password/", form).status_code == 302


def by_command(user: User) -> None:
    call_command("changepassword", user.username)


def by_letter(user: User) -> None:
    actions.reset_password(User.objects.get(pk=user.pk), password=NEW_PASSWORD)


def by_save(user: User) -> None:
    user.set_password(NEW_PASSWORD)
    user.save()


def by_save_of_the_column(user: User) -> None:
    user.set_password(NEW_PASSWORD)
    user.save(update_fields=["password"])


def by_update(user: User) -> None:
    User.objects.filter(pk=user.pk).update(password=make_password(NEW_PASSWORD))


@pytest.mark.parametrize("made", [program_of, earlier_token])
@pytest.mark.parametrize(
    "change", [by_api, by_page, by_admin, by_command, by_letter, by_save, by_save_of_the_column, by_update]
)
def test_a_token_ends_with_the_password(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[User], None], made: Callable[[User], Program]
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt: NEW_PASSWORD)
    alice = signed_up("alice")
    script = made(alice)
    assert script.get("/me").status_code == 200
    change(alice)
    alice.refresh_from_db()
    assert alice.check_password(NEW_PASSWORD)
    says(script.get("/me"), 401, "password")
    says(script.get("/posts"), 401, "password")
    assert browser(alice).get("/tokens").json() == []


def test_a_token_outlives_what_is_no_new_password() -> None:
    alice = signed_up("alice")
    script = program_of(alice)
    assert browser(alice).patch("/me", {"email": "new@example.org", "current_password": PASSWORD}).status_code == 200
    alice.set_password(NEW_PASSWORD)
    alice.save(update_fields=["email"])  # the password is not written
    assert script.get("/me").status_code == 200


#: A new hasher came, and passwords have hashes of an earlier one.
OUTDATED = ["django.contrib.auth.hashers.PBKDF2PasswordHasher", "django.contrib.auth.hashers.MD5PasswordHasher"]


def outdated() -> User:
    """A user whose password has a hash of the earlier hasher. Set the hashers first."""
    return UserFactory(username="alice", password=make_password(PASSWORD, hasher="md5"))


@pytest.mark.parametrize("made", [program_of, earlier_token])
def test_a_password_that_is_only_hashed_anew_keeps_the_tokens(
    settings: Settings, made: Callable[[User], Program]
) -> None:
    settings.PASSWORD_HASHERS = OUTDATED
    alice = outdated()
    script = made(alice)
    assert Program().post("/login", {"username": "alice", "password": PASSWORD}).status_code == 200
    alice.refresh_from_db()
    assert alice.password.startswith("pbkdf2")
    assert script.get("/me").status_code == 200


def test_two_requests_that_hash_a_password_anew_at_once_keep_the_tokens(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = OUTDATED
    alice = outdated()
    script = program_of(alice)
    first, second = User.objects.get(pk=alice.pk), User.objects.get(pk=alice.pk)
    assert first.check_password(PASSWORD)
    assert second.check_password(PASSWORD)
    assert first.password == second.password
    assert script.get("/me").status_code == 200


def test_a_password_that_changed_while_its_old_hash_was_checked_is_wrong(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = OUTDATED
    alice = outdated()
    stale = User.objects.get(pk=alice.pk)
    actions.change_account(alice, password=NEW_PASSWORD)
    assert not stale.check_password(PASSWORD)
    assert User.objects.get(pk=alice.pk).check_password(NEW_PASSWORD)


def test_confirming_a_password_that_is_hashed_anew_keeps_the_session(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = OUTDATED
    alice = outdated()
    browser, elsewhere = window(alice), window(alice)
    browser.send("/settings/factor/begin", **{"begin-current": PASSWORD})
    assert "otpauth" in browser.read("/settings/factor")
    assert elsewhere.get("/settings").status_code == 302


def test_an_earlier_token_keeps_its_rights_and_is_shown_as_such() -> None:
    alice = UserFactory(username="alice")
    script = earlier_token(alice)
    assert script.get("/me").status_code == 200
    assert script.post("/posts", {"title": "As before"}).status_code == 201
    [listed] = browser(alice).get("/tokens").json()
    assert (listed["scopes"], listed["expires"]) == (["all"], None)
    assert "all, made before scopes" in window(alice).read("/settings")


@pytest.mark.parametrize("made", [program_of, earlier_token])
def test_what_changes_an_account_needs_a_session(made: Callable[[User], Program]) -> None:
    alice = signed_up("alice")
    script = made(alice)
    other, _ = actions.create_token(alice, name="other")
    for method, path, body in (
        ("GET", "/tokens", None),
        ("POST", "/tokens", {"name": "another"}),
        ("DELETE", f"/tokens/{other.pk}", None),
        ("PATCH", "/me", {"username": "alicia", "current_password": PASSWORD}),
        ("PATCH", "/me", {"email": "a@example.org", "current_password": PASSWORD}),
        ("PATCH", "/me", {}),
        ("DELETE", "/me", {"current_password": PASSWORD}),
        ("POST", "/logout", None),
    ):
        refused = script.send(method, path, body)
        says(refused, 403, "token")
    before = User.objects.get()
    assert (before.username, before.email, before.is_active) == ("alice", "", True)
    assert before.tokens.count() == 2


@pytest.mark.parametrize("scopes", [["read"], ["write"], ["read", "write"]])
def test_a_token_can_revoke_itself(scopes: list[str]) -> None:
    alice = UserFactory()
    script = program_of(alice, scopes=scopes)
    assert script.delete(f"/tokens/{alice.tokens.get().pk}").status_code == 204
    says(script.get("/posts"), 401, "token")


def test_a_token_beside_a_session_counts() -> None:
    """A browser that sends both is a program."""
    alice = UserFactory()
    _, secret = actions.create_token(alice, name="script")
    client = Client()
    client.force_login(alice)
    says(Program(client=client, token=secret).get("/tokens"), 403, "token")
