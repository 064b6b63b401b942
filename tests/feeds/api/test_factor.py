"""The second factor in the API: sign in with a code, set up, turn off; by session alone."""

import pytest
from django.test import Client

from feeds import actions
from feeds.models.second_factors import FREE_FAILURES
from tests.support.api_client import PASSWORD, Program, says, signed_up
from tests.support.factors import App, with_factor
from tests.support.limits import Limited

pytestmark = pytest.mark.django_db

CREDENTIALS = {"username": "alice", "password": PASSWORD}


class Browser(Program):
    """A program with the session of a user."""

    def __init__(self, user) -> None:
        client = Client()
        client.force_login(user)
        super().__init__(client=client)


def test_signing_in_asks_for_a_code_and_takes_it() -> None:
    _user, app, _codes = with_factor()
    asked = Program().post("/login", CREDENTIALS)
    says(asked, 401, "code", "Enter the code of your app")
    assert list(asked.json()["fields"]) == ["code"]
    wrong = Program().post("/login", CREDENTIALS | {"code": app.wrong_code()})
    says(wrong, 401, "code", "wrong")
    assert list(wrong.json()["fields"]) == ["code"]
    assert "sessionid" not in wrong.cookies
    program = Program()
    assert program.post("/login", CREDENTIALS | {"code": app.code()}).json()["username"] == "alice"
    assert program.get("/me").status_code == 200


def test_a_wrong_password_learns_nothing_of_the_factor() -> None:
    _user, app, _codes = with_factor()
    for code in ({}, {"code": app.code()}):
        answer = Program().post("/login", CREDENTIALS | {"password": "guess"} | code)
        says(answer, 401, "Wrong username or password.")
        assert "fields" not in answer.json()
    assert Program().post("/login", CREDENTIALS | {"code": app.code()}).status_code == 200


def test_without_a_factor_a_code_is_not_looked_at() -> None:
    signed_up("alice")
    for code in ({}, {"code": ""}, {"code": "000000"}):
        assert Program().post("/login", CREDENTIALS | code).status_code == 200


def test_after_many_wrong_codes_the_answer_says_how_long_to_wait() -> None:
    _user, app, codes = with_factor()
    for _ in range(FREE_FAILURES):
        says(Program().post("/login", CREDENTIALS | {"code": app.wrong_code()}), 401)
    refused = Program().post("/login", CREDENTIALS | {"code": app.code()})
    says(refused, 429)
    assert 50 <= int(refused.headers["Retry-After"]) <= 61
    assert Program().post("/login", CREDENTIALS | {"code": codes[0]}).status_code == 200


def test_it_is_set_up_looked_at_and_turned_off() -> None:
    browser = Browser(signed_up("alice"))
    assert browser.get("/me/factor").json() == {"on": False, "created_at": None, "recovery_codes": 0}
    says(browser.put("/me/factor", {"code": "000000"}), 404)
    says(browser.post("/me/factor", {"current_password": "guess"}), 422, "current_password")
    begun = browser.post("/me/factor", {"current_password": PASSWORD}).json()
    assert begun["secret"] in begun["address"]
    app = App(begun["secret"])
    says(browser.put("/me/factor", {"code": app.wrong_code()}), 422, "code")
    codes = browser.put("/me/factor", {"code": app.code()}).json()["recovery_codes"]
    looked = browser.get("/me/factor").json()
    assert (looked["on"], looked["recovery_codes"]) == (True, len(codes))
    says(browser.put("/me/factor", {"code": app.code()}), 404)
    browser.post("/me/factor", {"current_password": PASSWORD})
    begun = browser.post("/me/factor", {"current_password": PASSWORD}).json()
    says(browser.put("/me/factor", {"code": App(begun["secret"]).code()}), 409, "code")
    says(browser.post("/me/factor/recovery-codes", {}), 422, "current_password")
    new = browser.post("/me/factor/recovery-codes", {"current_password": PASSWORD}).json()["recovery_codes"]
    assert not set(new) & set(codes)
    says(browser.delete("/me/factor", {"current_password": "guess"}), 422, "current_password")
    assert browser.delete("/me/factor", {"current_password": PASSWORD}).status_code == 204
    assert browser.get("/me/factor").json()["on"] is False
    says(browser.post("/me/factor/recovery-codes", {"current_password": PASSWORD}), 404)


def test_a_token_works_on_but_manages_no_factor() -> None:
    user, _app, _codes = with_factor()
    program = Program(user)
    assert program.get("/me").status_code == 200
    for answer in (
        program.get("/me/factor"),
        program.post("/me/factor", {"current_password": PASSWORD}),
        program.put("/me/factor", {"code": "000000"}),
        program.post("/me/factor/recovery-codes", {"current_password": PASSWORD}),
        program.delete("/me/factor", {"current_password": PASSWORD}),
    ):
        says(answer, 403, "token")
    assert actions.has_factor(user)


def test_wrong_codes_count_as_tries_of_the_account_and_of_the_address(limited: Limited) -> None:
    _user, app, codes = with_factor()
    for limit in ("TRIES_BY_ACCOUNT", "TRIES_BY_ADDRESS"):
        limited(**{limit: "2/3600"})
        answers = [Program().post("/login", CREDENTIALS | {"code": app.wrong_code()}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]
        assert int(answers[-1].headers["Retry-After"]) >= 1
    limited(TRIES_BY_ACCOUNT="2/3600")
    for _ in range(4):  # a right code costs nothing
        assert Program().post("/login", CREDENTIALS | {"code": codes.pop()}).status_code == 200
