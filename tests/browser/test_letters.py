"""Letters in Chromium: the way back into an account, and an address that is confirmed. With JavaScript and without, in
both languages."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.message import Message
from typing import NamedTuple

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.api_actions import WITHIN, ask
from tests.browser.conftest import PASSWORD, OpenPage, Site
from tests.support.mail_server import MailServer

pytestmark = [pytest.mark.chromium, pytest.mark.home]

NEW = "another horse battery"


class Words(NamedTuple):
    """What the pages and letters say in one language."""

    forgotten: str
    email: str
    send: str
    sent: str
    password_letter: str
    new_password: str
    change: str
    changed: str
    used: str
    another_link: str
    username: str
    password: str
    sign_in: str
    wrong: str
    confirm_letter: str
    confirm: str
    waits: str
    confirmed: str
    confirmed_already: str
    send_again: str


ENGLISH = Words(
    forgotten="Forgot your password?",
    email="Email",
    send="Send the link",
    sent="Check your mail",
    password_letter="Choose a new password for Airy",
    new_password="New password",
    change="Change password",
    changed="Password changed. Sign in with the new one.",
    used="This link does not work any more",
    another_link="Get a new link",
    username="Username",
    password="Password",
    sign_in="Sign in",
    wrong="Wrong username or password.",
    confirm_letter="Confirm your email address for Airy",
    confirm="Confirm",
    waits="is not confirmed yet",
    confirmed="is confirmed.",
    confirmed_already="This link has expired or was used already. Get a new one in your settings.",
    send_again="Send the link again",
)
CHINESE = Words(
    forgotten="忘记密码？",
    email="邮箱",
    send="发送链接",
    sent="请查收邮件",
    password_letter="重设你在 Airy 的密码",
    new_password="新密码",
    change="修改密码",
    changed="密码已修改，请用新密码登录。",
    used="此链接已失效",
    another_link="重新获取链接",
    username="用户名",
    password="密码",
    sign_in="登录",
    wrong="用户名或密码错误。",
    confirm_letter="请确认你在 Airy 的邮箱",
    confirm="确认",
    waits="尚未确认",
    confirmed="已确认。",
    confirmed_already="此链接已过期，或已被使用。请在设置中重新获取。",
    send_again="重新发送链接",
)


class Reader(NamedTuple):
    """Somebody with the link: opens windows, and reads these words."""

    window: Callable[[], BrowserContext]
    words: Words


@pytest.fixture(
    params=[
        ("en-GB", True),
        *(pytest.param(one, marks=pytest.mark.slow) for one in (("en-GB", False), ("zh-CN", False))),
    ],
    ids=["script", "plain", "chinese"],
)
def reader(new_window: Callable[..., BrowserContext], request: pytest.FixtureRequest) -> Reader:
    locale, scripts = request.param
    words = ENGLISH if locale == "en-GB" else CHINESE
    return Reader(window=lambda: new_window(java_script_enabled=scripts, locale=locale), words=words)


@pytest.fixture
def alice(open_page: OpenPage) -> Page:
    """Somebody with an account and an address, who is signed in."""
    page = open_page("alice")
    ask(page, "PATCH", "/api/me", email=address_of(page), current_password=PASSWORD)
    return page


def address_of(page: Page) -> str:
    return f"{page.name}@example.org"


def letter_to(mailbox: MailServer, address: str, subject: str) -> Message:
    """Wait for the letter, and take it out of the mailbox."""
    deadline = time.monotonic() + WITHIN
    while True:
        for letter in list(mailbox.letters):
            if (letter["To"], letter["Subject"]) == (address, subject):
                mailbox.letters.remove(letter)
                return letter
        assert time.monotonic() < deadline, [(one["To"], one["Subject"]) for one in mailbox.letters]
        time.sleep(0.1)


def link_in(letter: Message, site: Site) -> str:
    """The one link that leads somewhere on the site."""
    (link,) = (line for line in letter.get_content().splitlines() if line.startswith(f"{site.address}/"))
    return link


def sign_in(page: Page, words: Words, name: str, password: str) -> None:
    page.get_by_label(words.username).fill(name)
    page.get_by_label(words.password).fill(password)
    page.locator("main").get_by_role("button", name=words.sign_in, exact=True).click()


def test_who_forgot_the_password_gets_back_in_by_a_letter(
    alice: Page, reader: Reader, mailbox: MailServer, site: Site
) -> None:
    window, words = reader
    token = ask(alice, "POST", "/api/tokens", name="program")["token"]
    program = {"Authorization": f"Bearer {token}"}
    alice.goto("/settings")
    page = window().new_page()
    assert page.request.get("/api/me", headers=program).status == 200
    page.goto("/login?next=/circles")
    page.get_by_role("link", name=words.forgotten).click()
    page.get_by_label(words.email).fill(address_of(alice).upper())
    page.get_by_role("button", name=words.send).click()
    expect(page.get_by_role("heading", name=words.sent)).to_be_visible()

    link = link_in(letter_to(mailbox, address_of(alice), words.password_letter), site)
    page.goto(link)
    expect(page).not_to_have_url(link)  # no address that a page could give away holds the token
    page.get_by_label(words.new_password).fill("12345678")
    page.get_by_role("button", name=words.change).click()
    expect(page.locator("main .error")).not_to_be_empty()
    page.get_by_label(words.new_password).fill(NEW)
    page.get_by_role("button", name=words.change).click()
    expect(page.get_by_text(words.changed)).to_be_visible()

    alice.goto("/settings")
    expect(alice.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.request.get("/api/me", headers=program).status == 401
    sign_in(page, words, alice.name, PASSWORD)
    expect(page.get_by_text(words.wrong)).to_be_visible()
    sign_in(page, words, alice.name, NEW)
    expect(page.locator(".top .me")).to_have_text(alice.name)

    another = window().new_page()
    another.goto(link)
    expect(another.get_by_role("heading", name=words.used)).to_be_visible()
    expect(another.get_by_label(words.new_password)).to_have_count(0)
    another.get_by_role("link", name=words.another_link).click()
    another.get_by_label(words.email).fill(address_of(alice))
    another.get_by_role("button", name=words.send).click()
    old = link_in(letter_to(mailbox, address_of(alice), words.password_letter), site)
    ask(alice, "POST", "/api/login", username=alice.name, password=NEW)
    ask(alice, "PATCH", "/api/me", password=PASSWORD, current_password=NEW)
    another.goto(old)
    expect(another.get_by_role("heading", name=words.used)).to_be_visible()


def test_an_address_is_confirmed_by_a_letter(alice: Page, reader: Reader, mailbox: MailServer, site: Site) -> None:
    window, words = reader
    letter_to(mailbox, address_of(alice), ENGLISH.confirm_letter)
    page = window().new_page()
    page.goto("/login?next=/settings")
    sign_in(page, words, alice.name, PASSWORD)
    expect(page.locator("#email")).to_contain_text(words.waits)
    page.get_by_role("button", name=words.send_again).click()
    link = link_in(letter_to(mailbox, address_of(alice), words.confirm_letter), site)
    stranger = window().new_page()
    stranger.goto(link)  # as programs do that look for viruses in mails
    expect(stranger.get_by_text(address_of(alice))).to_be_visible()
    page.reload()
    expect(page.locator("#email")).to_contain_text(words.waits)
    page.goto(link)
    page.get_by_role("button", name=words.confirm).click()
    expect(page.locator(".message")).to_contain_text(f"{address_of(alice)} {words.confirmed}")
    expect(page.locator("#email")).to_contain_text(f"{address_of(alice)} {words.confirmed}")
    expect(page.get_by_role("button", name=words.send_again)).to_have_count(0)
    stranger.get_by_role("button", name=words.confirm).click()
    expect(stranger.get_by_text(words.confirmed_already)).to_be_visible()
    page.goto(link)
    expect(page.get_by_text(words.confirmed_already)).to_be_visible()
