"""Confirming an address: by a button behind the link of a letter, and what an unconfirmed one is worth."""

import pytest

from events.testing import emitted
from feeds import actions
from feeds.events import EmailChanged
from feeds.models import User
from tests.support.api_client import PASSWORD, Program, signed_up
from tests.support.browsers import Window, shown, window
from tests.support.letters import letters, link_in

pytestmark = pytest.mark.django_db

ADDRESS = "alice@example.org"
SITE = "http://testserver"


def alice() -> User:
    return User.objects.get(username="alice")


def test_who_registers_with_an_address_confirms_it_by_a_button() -> None:
    browser = Window()
    browser.send("/register", username="alice", password=PASSWORD, email=ADDRESS)
    assert "is not confirmed yet" in browser.read("/settings")
    (letter,) = letters()
    assert letter.to == [ADDRESS]
    scanner = Window()
    assert ADDRESS in scanner.read(link_in(letter))
    assert not alice().email_confirmed
    assert f"{ADDRESS} is confirmed." in shown(scanner.send(link_in(letter)))
    assert alice().email_confirmed
    assert "is not confirmed yet" not in browser.read("/settings")
    assert Window().get(link_in(letter)).status_code == 404


def test_the_api_says_whether_an_address_is_confirmed() -> None:
    program = Program()
    program.post("/register", {"username": "alice", "password": PASSWORD, "email": ADDRESS})
    assert program.get("/me").json()["email_confirmed"] is False
    Window().send(link_in(letters()[0]))
    assert program.get("/me").json()["email_confirmed"] is True


def test_who_gives_no_address_gets_no_letter() -> None:
    Window().send("/register", username="alice", password=PASSWORD)
    assert letters() == []
    assert not alice().email_confirmed


def test_a_new_address_waits_and_the_confirmed_one_is_told() -> None:
    user = signed_up("alice", email=ADDRESS, confirmed_email=ADDRESS)
    actions.change_account(user, email="new@example.org", site=SITE)
    told = {letter.to[0]: letter for letter in letters()}
    assert set(told) == {ADDRESS, "new@example.org"}
    assert "new@example.org" not in told[ADDRESS].body
    assert (alice().email, alice().confirmed_email) == ("new@example.org", ADDRESS)
    Window().send(link_in(told["new@example.org"]))
    assert (alice().email, alice().confirmed_email) == ("new@example.org", "new@example.org")
    (letter,) = letters()
    assert (letter.to, letter.subject) == ([ADDRESS], "Your email address on Airy was changed")
    assert "new@example.org" not in letter.body


def test_taking_a_new_address_back_needs_no_letter() -> None:
    user = signed_up("alice", email=ADDRESS, confirmed_email=ADDRESS)
    actions.change_account(user, email="new@example.org", site=SITE)
    link = link_in(next(letter for letter in letters() if letter.to != [ADDRESS]))
    actions.change_account(user, email=ADDRESS, site=SITE)
    assert letters() == []
    assert alice().email_confirmed
    assert Window().get(link).status_code == 404


def test_an_address_that_was_never_confirmed_is_told_nothing() -> None:
    actions.change_account(signed_up("alice", email=ADDRESS), email="new@example.org", site=SITE)
    assert [letter.to for letter in letters()] == [["new@example.org"]]


def test_whoever_changes_or_removes_an_address_makes_it_unconfirmed() -> None:
    user = signed_up("alice", email=ADDRESS, confirmed_email=ADDRESS)
    User.objects.filter(pk=user.pk).update(email="by-operator@example.org")
    assert not alice().email_confirmed
    actions.change_account(alice(), email="", site=SITE)
    assert (alice().email, alice().confirmed_email) == ("", "")
    (letter,) = letters()
    assert (letter.to, letter.subject) == ([ADDRESS], "Your email address on Airy was removed")
    assert "If it was not, change your password and put your address back." in letter.body


def test_an_address_that_is_removed_is_told_in_the_language_of_who_did_it() -> None:
    user = signed_up("alice", email=ADDRESS, confirmed_email=ADDRESS)
    window(user).post(
        "/settings/account",
        {"username": "alice", "email": "", "current": PASSWORD},
        headers={"Accept-Language": "zh-Hans"},
    )
    (letter,) = letters()
    assert letter.to == [ADDRESS]
    assert letter.subject == "你在 Airy 的邮箱地址已被移除"
    assert "如果不是，请修改密码，并重新填写你的邮箱地址。" in letter.body


def test_an_address_that_is_put_back_or_whose_account_is_gone_is_told_nothing() -> None:
    user = signed_up("alice", email=ADDRESS, confirmed_email=ADDRESS)
    actions.change_account(user, email="", site=SITE)
    User.objects.filter(pk=user.pk).update(email=ADDRESS, confirmed_email=ADDRESS)
    assert letters() == []
    actions.change_account(alice(), email="", site=SITE)
    actions.delete_account(alice())
    assert letters() == []
    actions.delete_account(signed_up("bob", email="bob@example.org", confirmed_email="bob@example.org"))
    assert letters() == []


def test_the_log_shows_no_former_address() -> None:
    user = signed_up("alice", email=ADDRESS, confirmed_email=ADDRESS)
    actions.change_account(user, email="", site=SITE)
    (event,) = emitted(EmailChanged)
    assert ADDRESS not in repr(event)
    actions.delete_account(user)
    assert emitted(EmailChanged)[0].sealed_before == ""


@pytest.mark.parametrize("spoil", ["another address", "expired", "banned", "another user", "guess"])
def test_a_link_confirms_one_address_of_one_user_in_its_time(spoil: str, settings) -> None:
    user, other = signed_up("alice", email=ADDRESS), signed_up("bob", email="bob@example.org")
    actions.request_confirmation(user, site=SITE)
    link = link_in(letters()[0])
    if spoil == "another address":
        actions.change_account(user, email="new@example.org")
    elif spoil == "expired":
        settings.PASSWORD_RESET_TIMEOUT = -1
    elif spoil == "banned":
        User.objects.filter(pk=user.pk).update(is_active=False)
    elif spoil == "another user":
        link = link.replace(f"/{user.pk}/", f"/{other.pk}/")
    else:
        link = f"/email/{user.pk}/abc-def"
    browser = Window()
    assert "has expired or was used already" in browser.read(link, 404)
    assert browser.post(link).status_code == 404
    assert not User.objects.exclude(confirmed_email="").exists()


def test_a_letter_that_was_late_confirms_the_address_of_now() -> None:
    user = signed_up("alice")
    actions.change_account(user, email=ADDRESS, site=SITE)
    actions.change_account(user, email="new@example.org", site=SITE)
    assert {letter.to[0] for letter in letters()} == {"new@example.org"}


def test_the_letter_is_sent_once_more_but_not_for_ever(limited) -> None:
    limited(LETTERS="2/3600")
    browser = window(signed_up("alice", email=ADDRESS))
    assert "The link is on its way to alice@example.org." in shown(browser.send("/settings/email"))
    browser.send("/settings/email")
    assert len(letters()) == 2
    shown(browser.send("/settings/email"), 429)
    assert letters() == []


def test_a_letter_that_the_limit_holds_back_is_not_said_to_be_on_its_way(limited) -> None:
    limited(LETTERS="2/3600")
    user = signed_up("alice")
    for number in range(3):
        actions.change_account(user, email=f"a{number}@example.org", site=SITE)
    assert "on its way" not in shown(window(user).send("/settings/email"), 429)


def test_a_confirmed_address_gets_no_letter_and_nobody_is_told_of_one() -> None:
    browser = window(signed_up("alice", email=ADDRESS, confirmed_email=ADDRESS))
    assert "on its way" not in shown(browser.send("/settings/email"))
    assert letters() == []


def test_many_accounts_flood_no_mailbox(limited) -> None:
    limited(LETTERS="2/3600")
    for number in range(4):
        actions.register(username=f"alice{number}", password=PASSWORD, email=ADDRESS, site=SITE)
    assert len(letters()) == 2


def test_changing_addresses_floods_no_mailboxes(limited) -> None:
    limited(LETTERS="2/3600")
    user = signed_up("alice")
    for number in range(4):
        actions.change_account(user, email=f"a{number}@example.org", site=SITE)
        deliver_to = letters()
        assert len(deliver_to) == (1 if number < 2 else 0)
    assert alice().email == "a3@example.org"
