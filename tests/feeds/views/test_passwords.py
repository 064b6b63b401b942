"""A forgotten password: the way by a letter, whom it leads in, and what it does not tell."""

import re

import pytest
from django.contrib.auth import SESSION_KEY
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events.outbox.models import StoredEvent
from events.testing import deliver
from feeds import actions
from feeds.models import User
from tests.support.api_client import signed_up
from tests.support.browsers import Window, shown, window
from tests.support.letters import letters, link_in

pytestmark = pytest.mark.django_db

NEW = "another horse battery"
ADDRESS = "alice@example.org"


def ask(address: str = ADDRESS, **headers: str) -> str:
    """Send the form; the page that answers."""
    return shown(Window(headers=headers).send("/password/forgotten", email=address))


def follow(link: str) -> Window:
    """A browser that has opened the link, and shows the form."""
    browser = Window()
    browser.form = browser.get(link).headers["Location"]
    return browser


def test_the_page_to_sign_in_leads_to_it() -> None:
    assert 'href="/password/forgotten"' in Window().read("/login")


def test_who_forgot_the_password_gets_back_by_a_letter() -> None:
    alice = signed_up("alice", email=ADDRESS)
    elsewhere = window(alice)
    ask("ALICE@example.org")
    (letter,) = letters()
    assert letter.to == [ADDRESS]
    assert "alice" in letter.body
    browser = follow(link_in(letter))
    page = shown(browser.send(browser.form, password=NEW))
    assert "Password changed. Sign in with the new one." in page
    assert SESSION_KEY not in browser.session
    assert elsewhere.get("/settings").status_code == 302
    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert alice.email_confirmed


def test_a_link_works_once_and_for_one_password() -> None:
    alice = signed_up("alice", email=ADDRESS)
    ask()
    first = link_in(letters()[0])
    browser = follow(first)
    browser.send(browser.form, password=NEW)
    for used in (first, first[:-1] + ("a" if first[-1] != "a" else "b"), "/password/new/OTk5/abc-def"):
        page = Window().read(used)
        assert "This link does not work any more" in page
        assert 'name="password"' not in page
    alice.refresh_from_db()
    assert alice.check_password(NEW)


def test_a_link_ends_when_another_address_is_confirmed() -> None:
    alice = signed_up("alice", email=ADDRESS, confirmed_email=ADDRESS)
    actions.change_account(alice, email="new@example.org", site="http://testserver")
    confirmation = next(letter for letter in letters() if letter.to == ["new@example.org"])
    ask()
    (letter,) = letters()
    assert letter.to == [ADDRESS]
    Window().send(link_in(confirmation))
    assert "This link does not work any more" in Window().read(link_in(letter))


def test_a_link_outlives_the_confirmation_of_its_own_address() -> None:
    signed_up("alice", email=ADDRESS)
    window(User.objects.get()).send("/settings/email")
    (confirmation,) = letters()
    ask()
    (letter,) = letters()
    Window().send(link_in(confirmation))
    assert 'name="password"' in (browser := follow(link_in(letter))).read(browser.form)


def test_a_link_has_its_time(settings) -> None:
    signed_up("alice", email=ADDRESS)
    ask()
    (letter,) = letters()
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert "This link does not work any more" in Window().read(link_in(letter))


def test_opening_the_link_changes_nothing() -> None:
    alice = signed_up("alice", email=ADDRESS)
    ask()
    (letter,) = letters()
    for _ in range(2):
        browser = follow(link_in(letter))
        assert "New password" in browser.read(browser.form)
    assert User.objects.get().password == alice.password
    assert not User.objects.get().email_confirmed


def test_a_weak_new_password_says_why_and_the_link_still_works() -> None:
    signed_up("alice", email=ADDRESS)
    ask()
    browser = follow(link_in(letters()[0]))
    assert "too common" in shown(browser.send(browser.form, password="12345678"), 422)
    assert "Password changed." in shown(browser.send(browser.form, password=NEW))


def test_whether_an_address_is_known_shows_nowhere() -> None:
    signed_up("alice", email=ADDRESS)
    signed_up("gone", email="banned@example.org", is_active=False)
    imported = signed_up("imported", email="imported@example.org")
    imported.set_unusable_password()
    imported.save()
    answers, work = set(), set()
    for address in (ADDRESS, "nobody@example.org", "banned@example.org", "imported@example.org"):
        with CaptureQueriesContext(connection) as queries:
            answers.add(re.sub(r'value="\w{64}"', "", ask(address)))
        work.add(tuple((one["sql"] or "prepared").split()[0] for one in queries))
    assert len(answers) == len(work) == 1
    assert [letter.to for letter in letters()] == [[ADDRESS]]


def test_the_log_holds_neither_token_nor_address() -> None:
    signed_up("alice", email=ADDRESS)
    ask()
    (letter,) = letters()
    token = link_in(letter).rsplit("/", 1)[1]
    for event in StoredEvent.objects.all():
        assert token not in str(event.data)
        assert "example.org" not in str(event.data)


def test_who_was_banned_since_gets_no_letter_and_no_form() -> None:
    alice = signed_up("alice", email=ADDRESS)
    ask()
    (letter,) = letters()
    ask()
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert letters() == []
    assert "This link does not work any more" in Window().read(link_in(letter))


def test_an_address_of_several_accounts_gets_a_letter_for_each_but_not_for_many() -> None:
    for number in range(7):
        signed_up(f"alice{number}", email=ADDRESS)
    ask()
    sent = letters()
    assert len(sent) == 5
    assert {letter.to[0] for letter in sent} == {ADDRESS}
    assert len({letter.body for letter in sent}) == 5


def test_a_confirmed_address_stays_the_way_back_until_the_next_is_confirmed() -> None:
    signed_up("alice", email="new@example.org", confirmed_email=ADDRESS)
    ask("new@example.org")
    assert letters() == []
    ask(ADDRESS)
    assert [letter.to for letter in letters()] == [[ADDRESS]]


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "testserver:80@evil.example"])
def test_a_forged_host_gets_no_letter_sent(host: str) -> None:
    signed_up("alice", email=ADDRESS)
    assert Window(headers={"host": host}).post("/password/forgotten", {"email": ADDRESS}).status_code == 400
    assert letters() == []


def test_the_site_s_own_address_goes_before_the_one_that_was_asked(settings) -> None:
    settings.ALLOWED_HOSTS, settings.SITE_URL = ["*"], "https://airy.example"
    signed_up("alice", email=ADDRESS)
    ask(host="evil.example")
    (letter,) = letters()
    assert "evil" not in letter.body
    assert link_in(letter, "https://airy.example").startswith("/password/new/")


def test_the_letter_is_in_the_language_of_who_asks() -> None:
    signed_up("alice", email=ADDRESS)
    ask(accept_language="zh-CN")
    (letter,) = letters()
    assert letter.subject == "重设你在 Airy 的密码"
    assert "alice，你好" in letter.body


def test_asking_is_limited_by_mailbox_and_by_address_alike_for_all(limited) -> None:
    limited(LETTERS="1/3600", FORGOTTEN="5/3600")
    signed_up("alice", email=ADDRESS)
    answers = [
        Window().post("/password/forgotten", {"email": address}).status_code
        for address in (
            ADDRESS,
            ADDRESS.upper(),
            "nobody@example.org",
            "nobody@example.org",
            "x@example.org",
            "y@example.org",
        )
    ]
    assert answers == [302, 429, 302, 429, 302, 429]
    deliver()
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("spelling", ["ALICE@example.org", "alıce@example.org"])
def test_another_spelling_of_an_address_brings_no_more_letters(limited, spelling: str) -> None:
    limited(LETTERS="1/3600")
    signed_up("alice", email=ADDRESS)
    ask()
    shown(Window().send("/password/forgotten", email=spelling), 429)


def test_what_is_no_address_is_said_so() -> None:
    page = Window().post("/password/forgotten", {"email": "nowhere"}).content.decode()
    assert "Enter a valid email address." in page
    assert not StoredEvent.objects.filter(topic="password.reset_requested").exists()
