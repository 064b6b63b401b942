"""Pages of the second factor: set up, sign in by two steps, recover, turn off."""

import re
import time

import pytest
from django.contrib.auth import SESSION_KEY

from feeds import actions
from feeds.factor import setup
from feeds.models import SecondFactor, User
from feeds.models.second_factors import FREE_FAILURES
from feeds.views import second_step
from tests.support.api_client import PASSWORD, signed_up
from tests.support.browsers import Window, shown, window
from tests.support.factories import UserFactory
from tests.support.factors import App, with_factor

pytestmark = pytest.mark.django_db

WRONG = "Wrong password."


def begin(browser: Window) -> App:
    """Give the password, and let the app take the secret from the page."""
    page = shown(browser.send("/settings/factor/begin", **{"begin-current": PASSWORD}))
    assert "<svg" in page
    found = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page)
    assert found
    return App(found[1].replace(" ", ""))


def codes_on(page: str) -> list[str]:
    return re.findall(r"<li><code>([A-Z2-7-]+)</code></li>", page)


def give_password(user: User, **more: str) -> Window:
    """A browser in which the right password was given."""
    browser = Window()
    response = browser.post("/login", {"username": user.username, "password": PASSWORD, **more})
    assert response.headers["Location"].startswith("/login/code")
    return browser


def test_it_is_set_up_with_the_password_and_a_first_code() -> None:
    browser = window(signed_up("alice"))
    assert "Off: signing in takes your password alone." in browser.read("/settings")
    assert WRONG in shown(browser.send("/settings/factor/begin", **{"begin-current": "guess"}), 422)
    app = begin(browser)
    assert app.secret in browser.read("/settings/factor").replace(" ", "")
    assert "This code is wrong." in shown(browser.send("/settings/factor/on", code=app.wrong_code()), 422)
    assert not SecondFactor.objects.exists()
    page = shown(browser.send("/settings/factor/on", code=app.code()))
    codes = codes_on(page)
    assert len(codes) == 10
    assert 'download="airy-recovery-codes.txt"' in page
    assert all(code in page.replace("%0A", " ") for code in codes)
    again = browser.read("/settings/factor")
    assert codes[0] not in again
    assert app.secret not in again
    assert "10 recovery codes are left." in again
    assert "On: signing in takes your password" in browser.read("/settings")


def test_a_secret_that_was_begun_is_shown_in_its_session_alone_and_for_an_hour(monkeypatch) -> None:
    user = signed_up("alice")
    browser, elsewhere = window(user), window(user)
    app = begin(browser)
    assert "<svg" not in elsewhere.read("/settings/factor").partition("<main")[2]
    assert app.secret not in str(dict(browser.session))
    later = time.time() + setup.PATIENCE + 1
    monkeypatch.setattr("feeds.factor.setup.time.time", lambda: later)
    assert "<svg" not in browser.read("/settings/factor").partition("<main")[2]
    assert "This took too long. Begin again." in shown(browser.send("/settings/factor/on", code=app.code()))
    assert not SecondFactor.objects.exists()


def test_what_was_begun_is_cancelled() -> None:
    browser = window(signed_up("alice"))
    begin(browser)
    browser.send("/settings/factor/cancel")
    assert "<svg" not in browser.read("/settings/factor").partition("<main")[2]


def test_turning_off_and_new_codes_take_the_password() -> None:
    user, _app, codes = with_factor()
    browser = window(user)
    assert WRONG in shown(browser.send("/settings/factor/codes", **{"renew-current": "guess"}), 422)
    assert WRONG in shown(browser.send("/settings/factor/off", **{"off-current": "guess"}), 422)
    assert actions.has_factor(user)
    new = codes_on(shown(browser.send("/settings/factor/codes", **{"renew-current": PASSWORD})))
    assert len(set(new) - set(codes)) == 10
    assert "Your second factor is off." in shown(browser.send("/settings/factor/off", **{"off-current": PASSWORD}))
    assert not actions.has_factor(user)


def test_signing_in_takes_both_steps_and_leads_back() -> None:
    user, app, _codes = with_factor()
    browser = give_password(user, next="/posts/new")
    assert SESSION_KEY not in browser.session
    assert "Second step" in browser.read("/login/code?next=/posts/new")
    assert browser.get("/settings").headers["Location"] == "/login?next=/settings"
    response = browser.post("/login/code?next=/posts/new", {"code": app.code(), "next": "/posts/new"})
    assert response.headers["Location"] == "/posts/new"
    assert browser.session[SESSION_KEY] == str(user.pk)
    assert second_step.MARKER not in browser.session
    assert browser.get("/settings").status_code == 200


def test_each_step_has_a_session_key_of_its_own() -> None:
    _user, app, _codes = with_factor()
    browser = Window()
    browser.get("/login")
    session = browser.session
    session["words"] = "planted"
    session.save()
    keys = [session.session_key]
    browser.post("/login", {"username": "alice", "password": PASSWORD})
    keys.append(browser.session.session_key)
    browser.post("/login/code", {"code": app.code()})
    keys.append(browser.session.session_key)
    assert len(set(keys)) == 3
    assert SESSION_KEY in browser.session


def test_a_recovery_code_signs_in_once() -> None:
    user, _app, codes = with_factor()
    for status in (302, 422):
        browser = give_password(user)
        assert browser.post("/login/code", {"code": codes[0]}).status_code == status
        assert (SESSION_KEY in browser.session) == (status == 302)


def test_a_wrong_code_says_so_and_after_several_there_is_a_pause() -> None:
    user, app, codes = with_factor()
    browser = give_password(user)
    for _ in range(FREE_FAILURES):
        page = shown(browser.send("/login/code", code=app.wrong_code()), 422)
        assert "This code is wrong or was used already." in page
    page = shown(browser.send("/login/code", code=app.code()), 422)
    assert "There were too many wrong codes. Enter a recovery code, or try again in 1 min." in page
    assert SESSION_KEY not in browser.session
    browser.send("/login/code", code=codes[0])
    assert SESSION_KEY in browser.session


@pytest.mark.parametrize("spoil", ["no password", "too late", "new password", "banned", "another browser"])
def test_the_code_alone_opens_nothing(spoil: str, monkeypatch) -> None:
    user, app, _codes = with_factor()
    browser = Window() if spoil in ("no password", "another browser") else give_password(user)
    if spoil == "another browser":
        give_password(user)
    elif spoil == "too late":
        later = time.time() + second_step.PATIENCE + 1
        monkeypatch.setattr("feeds.views.second_step.time.time", lambda: later)
    elif spoil == "new password":
        actions.change_account(user, password="another horse 2")
    elif spoil == "banned":
        User.objects.filter(pk=user.pk).update(is_active=False)
    for response in (browser.get("/login/code"), browser.post("/login/code", {"code": app.code()})):
        assert response.headers["Location"].startswith("/login")
        assert "/login/code" not in response.headers["Location"].partition("?")[0]
    assert SESSION_KEY not in browser.session


def test_the_code_leads_to_no_other_site() -> None:
    user, app, _codes = with_factor()
    browser = give_password(user, next="https://evil.example/")
    response = browser.post("/login/code", {"code": app.code(), "next": "https://evil.example/"})
    assert response.headers["Location"] == "/"


def test_a_password_that_was_reset_still_needs_the_code() -> None:
    user, _app, _codes = with_factor(email="alice@example.org")
    actions.reset_password(user, password="another horse 2")
    browser = Window()
    response = browser.post("/login", {"username": "alice", "password": "another horse 2"})
    assert response.headers["Location"] == "/login/code"
    assert SESSION_KEY not in browser.session


def test_the_administration_has_no_sign_in_of_its_own() -> None:
    user, app, _codes = with_factor(is_staff=True, is_superuser=True)
    browser = Window()
    assert browser.get("/admin/", follow=True).redirect_chain[-1][0] == "/login?next=/admin/"
    for address in ("/admin/login/", "/admin/login/?next=/admin/feeds/post/"):
        response = browser.post(address, {"username": "alice", "password": PASSWORD, "next": "/admin/"})
        assert response.headers["Location"].startswith("/login?next=/admin/")
        assert SESSION_KEY not in browser.session
    browser = give_password(user, next="/admin/")
    assert browser.get("/admin/").status_code == 302
    response = browser.post("/login/code", {"code": app.code(), "next": "/admin/"}, follow=True)
    assert "Site administration" in shown(response)
    assert browser.get("/admin/login/").headers["Location"] == "/admin/"


def test_who_may_not_enter_the_administration_is_told_so() -> None:
    page = window(UserFactory()).get("/admin/", follow=True)
    assert "This account has no access to the administration." in shown(page, 403)
