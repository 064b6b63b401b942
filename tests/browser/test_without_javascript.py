"""Without JavaScript everything works: register, write, comment, answer, vote, follow, join, search, read."""

import secrets
import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.api_actions import WITHIN, comment, follow, write
from tests.browser.conftest import PASSWORD, OpenPage

pytestmark = [pytest.mark.chromium, pytest.mark.home]


@pytest.fixture
def plain(new_window) -> Page:
    return new_window(java_script_enabled=False).new_page()


def register(page: Page, name: str) -> str:
    """Open an account by its form."""
    name = f"{name}-{secrets.token_hex(4)}"
    page.goto("/")
    page.get_by_role("link", name="Register").click()
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text(f"Welcome, {name}!")).to_be_visible()
    return name


def sign_out(page: Page) -> None:
    """By the menu, which opens without a script."""
    page.locator(".top .menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


def test_a_day_without_javascript(plain: Page) -> None:
    page = plain
    alice = register(page, "alice")
    page.get_by_role("link", name="Write").click()
    word = f"quince{secrets.token_hex(3)}"
    page.get_by_label("Title").fill(f"About {word}")
    page.get_by_label("Text").fill("They are **hard**.")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("article strong")).to_have_text("hard")
    post = page.url
    page.goto("/circles/new")
    page.get_by_label("Name").fill(f"Circle of {word}")
    page.get_by_role("button", name="Create circle").click()
    expect(page.get_by_text("1 member")).to_be_visible()
    circle = page.url
    sign_out(page)

    register(page, "bob")
    page.goto(post)
    page.get_by_label("Your comment").fill("Boil them")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator(".comment .prose")).to_have_text("Boil them")
    page.get_by_role("link", name="Reply").click()
    page.get_by_label("Your comment").fill("And add sugar")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator(".answers .comment .prose")).to_have_text("And add sugar")
    page.locator("article").get_by_role("button", name="Upvote").click()
    expect(page.locator("article [data-score]")).to_have_text("1")
    page.locator("article").get_by_role("link", name=alice).click()
    page.get_by_role("button", name="Follow").click()
    expect(page.get_by_role("button", name="Unfollow")).to_be_visible()
    page.goto(circle)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_text("2 members")).to_be_visible()
    sign_out(page)

    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Username").fill(alice)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#bell [data-unread]")).to_be_visible()
    page.locator("#bell").click()
    expect(page.get_by_text("commented on “About").first).to_be_visible()
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.locator("#bell [data-unread]")).to_be_hidden()
    page.get_by_label("Search posts").fill(word)
    page.get_by_label("Search posts").press("Enter")
    expect(page.get_by_role("link", name=f"About {word}")).to_be_visible()


def test_opening_the_notifications_reads_nothing_and_the_button_what_was_shown(
    plain: Page, open_page: OpenPage
) -> None:
    name, bob = register(plain, "alice"), open_page("bob")
    follow(bob, name)
    until_shown(plain, f"{bob.name} followed")
    expect(plain.locator("li.unread")).to_have_count(2)
    plain.reload()
    expect(plain.locator("li.unread")).to_have_count(2)
    comment(bob, write(bob, "A post"), f"Look, @{name}")
    other = plain.context.new_page()
    until_shown(other, "mentioned")
    plain.get_by_role("button", name="Mark all as read").click()
    for page in (plain, other):
        page.goto("/notifications")
        expect(page.locator("li.unread")).to_have_count(1)
        expect(page.locator("li.unread")).to_contain_text("mentioned")
        expect(page.locator("#bell [data-unread]")).to_have_text("1")


def until_shown(page: Page, text: str) -> None:
    """Open the notifications until one of them says this."""
    deadline = time.monotonic() + WITHIN
    page.goto("/notifications")
    while text not in page.locator(".notices").inner_text():
        assert time.monotonic() < deadline, text
        page.wait_for_timeout(200)
        page.reload()


def test_folding_a_thread_needs_no_script(plain: Page) -> None:
    page = plain
    register(page, "alice")
    page.goto("/posts/new")
    page.get_by_label("Title").fill("Fold me")
    page.get_by_role("button", name="Publish").click()
    page.get_by_label("Your comment").fill("Long winded")
    page.get_by_role("button", name="Comment").click()
    words = page.get_by_text("Long winded")
    expect(words).to_be_visible()
    page.locator(".comment > summary").click(position={"x": 3, "y": 8})
    expect(words).to_be_hidden()
