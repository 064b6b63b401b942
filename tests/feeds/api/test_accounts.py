"""The API: register, sign in by session or token, change and delete an account."""

import pytest
from django.test import Client

from events.testing import deliver
from feeds.models import ApiToken, User
from tests.support.api_client import PASSWORD, Program, browser, says, signed_up
from tests.support.factories import FollowFactory, PostFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_who_registers_is_signed_in() -> None:
    program = Program()
    response = program.post("/register", {"username": "alice", "password": PASSWORD, "email": "a@example.org"})
    assert response.status_code == 201
    assert response.json()["username"] == "alice"
    me = program.get("/me").json()
    assert (me["username"], me["email"], me["unread"]) == ("alice", "a@example.org", 0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "alice", "password": "short"}, "password"),
        ({"username": "alice", "password": "12345678901"}, "password"),
        ({"username": "a b", "password": PASSWORD}, "username"),
        ({"username": "a" * 31, "password": PASSWORD}, "username"),
        ({"username": "ali\0ce", "password": PASSWORD}, "username"),
        ({"username": "alice", "password": PASSWORD, "email": "nowhere"}, "email"),
        ({"username": "alice"}, "password"),
        ({"username": 7, "password": PASSWORD}, "username"),
        ({"username": "alice", "password": PASSWORD, "is_staff": True}, "is_staff"),
    ],
)
def test_registering_with_what_cannot_be_taken_names_the_field(body: dict[str, object], field: str) -> None:
    response = Program().post("/register", body)
    says(response, 422, field)
    assert field in response.json()["fields"]
    assert not User.objects.exists()


def test_a_name_that_someone_has_in_another_case_is_a_conflict() -> None:
    UserFactory(username="Alice")
    says(Program().post("/register", {"username": "aLICE", "password": PASSWORD}), 409, "username")


def test_signing_in_disregards_the_case_of_the_name() -> None:
    signed_up("Ünal")
    program = Program()
    assert program.post("/login", {"username": "üNAL", "password": PASSWORD}).json()["username"] == "Ünal"
    assert program.get("/me").status_code == 200


@pytest.mark.parametrize(("username", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("a\0", "b\0")])
def test_a_wrong_password_and_an_unknown_name_are_answered_alike(username: str, password: str) -> None:
    signed_up("alice")
    says(Program().post("/login", {"username": username, "password": password}), 401, "Wrong username or password.")


def test_signing_out_ends_the_session() -> None:
    client = Client()
    client.force_login(UserFactory())
    assert client.post("/api/logout").status_code == 204
    assert client.get("/api/me").status_code == 401
    assert client.post("/api/logout").status_code == 401


def test_nobody_has_no_account() -> None:
    for response in (Program().get("/me"), Program().patch("/me", {}), Program().get("/tokens")):
        says(response, 401)


def test_a_browser_that_is_signed_in_needs_the_csrf_token_to_change_something() -> None:
    program = Program()
    program.post("/register", {"username": "alice", "password": PASSWORD})
    says(program.post("/posts", {"title": "Without"}), 403, "CSRF")
    token = program.client.cookies["csrftoken"].value
    assert program.post("/posts", {"title": "With"}, **{"X-CSRFToken": token}).status_code == 201
    assert program.get("/posts").status_code == 200


@pytest.mark.parametrize("path", ["/login", "/register"])
@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null"])
def test_a_page_of_another_site_cannot_sign_anybody_in(path: str, origin: str) -> None:
    signed_up("alice")
    says(Program().post(path, {"username": "alice", "password": PASSWORD}, Origin=origin), 403, "site")


def test_a_page_of_this_site_can_sign_in() -> None:
    signed_up("alice")
    response = Program().post("/login", {"username": "alice", "password": PASSWORD}, Origin="http://testserver")
    assert response.status_code == 200


def test_a_banned_user_can_do_nothing_by_token_session_or_password() -> None:
    user = signed_up("alice")
    program, browser = Program(user), Client()
    browser.force_login(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    says(program.get("/me"), 403, "deactivated")
    says(program.post("/posts", {"title": "Still here"}), 403, "deactivated")
    says(browser.get("/api/me"), 403, "deactivated")
    says(browser.post("/api/posts", {"title": "Still here"}, content_type="application/json"), 403, "deactivated")
    says(Program().post("/login", {"username": "alice", "password": PASSWORD}), 403, "deactivated")
    says(Program().post("/login", {"username": "alice", "password": "guess"}), 401)


def test_a_new_password_needs_the_current_one_and_keeps_this_session() -> None:
    client, other = Client(), Client()
    for one in (client, other):
        one.force_login(signed_up("alice") if one is client else User.objects.get())
    for current in ({}, {"current_password": "guess"}):
        wanted = {"password": "another horse 2", **current}
        says(client.patch("/api/me", wanted, content_type="application/json"), 422, "current_password")
    wanted = {"password": "another horse 2", "current_password": PASSWORD}
    assert client.patch("/api/me", wanted, content_type="application/json").status_code == 200
    assert client.get("/api/me").status_code == 200
    assert other.get("/api/me").status_code == 401
    assert Program().post("/login", {"username": "alice", "password": "another horse 2"}).status_code == 200


def test_the_address_is_changed_and_nothing_else() -> None:
    alice = browser(signed_up("alice"))
    confirmed = {"current_password": PASSWORD}
    assert alice.patch("/me", {"email": "new@example.org"} | confirmed).json()["email"] == "new@example.org"
    says(alice.patch("/me", {"email": "nowhere"} | confirmed), 422, "email")
    says(alice.patch("/me", {"is_staff": True} | confirmed), 422, "is_staff")
    assert alice.get("/me").json()["email"] == "new@example.org"


@pytest.mark.parametrize(
    "wanted", [{"email": "new@example.org"}, {"username": "alicia"}, {"password": "another horse 2"}]
)
def test_any_change_needs_the_current_password(wanted: dict[str, str]) -> None:
    alice = browser(signed_up("alice", email="a@example.org"))
    for current in ({}, {"current_password": ""}, {"current_password": "guess"}):
        says(alice.patch("/me", wanted | current), 422, "current_password")
    alice.user.refresh_from_db()
    assert (alice.user.username, alice.user.email) == ("alice", "a@example.org")
    assert alice.user.check_password(PASSWORD)
    assert alice.patch("/me", wanted | {"current_password": PASSWORD}).status_code == 200


def test_changing_nothing_needs_no_password() -> None:
    assert browser(signed_up("alice")).patch("/me", {}).json()["username"] == "alice"


@pytest.mark.parametrize("stored", ["", "!unusable"])
def test_who_has_no_password_is_told_so(stored: str) -> None:
    alice = browser(UserFactory(password=stored))
    says(alice.patch("/me", {"email": "a@example.org", "current_password": "guess"}), 422, "has no password")
    says(alice.delete("/me", {"current_password": "guess"}), 422, "has no password")


def test_one_may_take_another_name_that_is_free_and_valid() -> None:
    UserFactory(username="Bob")
    program = browser(signed_up("alice"))
    confirmed = {"current_password": PASSWORD}
    assert program.patch("/me", {"username": "Alicia"} | confirmed).json()["username"] == "Alicia"
    says(program.patch("/me", {"username": "bOB"} | confirmed), 409, "username")
    for name in ("", "a b", "x" * 31):
        says(program.patch("/me", {"username": name} | confirmed), 422, "username")
    assert program.get("/me").json()["username"] == "Alicia"
    assert Program().get("/users/alicia").status_code == 200


def test_one_is_told_how_many_notices_are_unread() -> None:
    program = Program(UserFactory(username="alice"))
    deliver()
    before = program.get("/me").json()["unread"]
    FollowFactory(followee=program.user)
    deliver()
    assert program.get("/me").json()["unread"] == before + 1


@pytest.mark.parametrize("field", ["current_password", "password"])
def test_leaving_needs_the_password_and_leaves_the_posts(field: str) -> None:
    user = signed_up("alice")
    post = PostFactory(author=user)
    alice = browser(user)
    says(alice.delete("/me", {field: "guess"}), 422, field)
    says(alice.delete("/me", {}), 422, "current_password")
    says(alice.delete("/me"), 422)
    assert alice.delete("/me", {field: PASSWORD}).status_code == 204
    assert alice.get("/me").status_code == 401
    says(Program().get("/users/alice"), 404)
    assert Program().get(f"/posts/{post.pk}").json()["author"] == f"deleted-{user.pk}"
    assert not ApiToken.objects.exists()
