"""Texts: what somebody typed is never lost, and gone from the browser once the server has it."""

import re
import secrets

import pytest
from playwright.sync_api import Page, expect

from tests.browser.api_actions import BELL, ask, follow, settled, until, write
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.chromium, pytest.mark.home]


@pytest.fixture
def alice(open_page: OpenPage) -> Page:
    return open_page("alice")


def kept(page: Page) -> list[str]:
    """The names of the texts that the browser keeps."""
    return page.evaluate("shelf.names()")


def test_an_unsent_post_comes_back_and_goes_when_it_is_sent(alice: Page) -> None:
    alice.goto("/posts/new")
    alice.get_by_label("Title").fill("Half a title")
    alice.get_by_label("Text").fill("Half a text")
    alice.goto("/circles")
    alice.goto("/posts/new")
    expect(alice.get_by_text("Your unsent text has been restored.")).to_be_visible()
    expect(alice.get_by_label("Text")).to_have_value("Half a text")
    alice.get_by_role("button", name="Preview").click()
    expect(alice.get_by_label("Preview").get_by_text("Half a text")).to_be_visible()
    alice.get_by_label("Text").fill("All of the text")
    alice.goto("/posts/new")
    expect(alice.get_by_label("Text")).to_have_value("All of the text")
    alice.get_by_label("Text").press("Control+Enter")
    expect(alice.get_by_text("Your post is published.")).to_be_visible()
    assert kept(alice) == []
    alice.goto("/posts/new")
    expect(alice.get_by_label("Text")).to_have_value("")


def test_a_text_that_the_server_refused_is_still_kept(alice: Page) -> None:
    alice.goto("/posts/new")
    alice.get_by_label("Title").fill(" ")
    alice.get_by_label("Text").fill("A long text")
    alice.get_by_role("button", name="Publish").click()
    expect(alice.get_by_text("This must not be empty.")).to_be_visible()
    expect(alice.get_by_label("Text")).to_have_value("A long text")
    assert kept(alice) == ["post:new"]


def test_a_restored_text_can_be_discarded(alice: Page) -> None:
    post = write(alice, "A post", "As it was")
    alice.goto(f"/posts/{post}/edit")
    alice.get_by_label("Text").fill("As it should be")
    alice.reload()
    expect(alice.get_by_label("Text")).to_have_value("As it should be")
    alice.get_by_role("button", name="Discard").click()
    expect(alice.get_by_label("Text")).to_have_value("As it was")
    assert kept(alice) == []


def test_signing_out_leaves_no_text_behind(alice: Page) -> None:
    alice.goto("/posts/new")
    alice.get_by_label("Text").fill("A secret")
    alice.locator(".top .menu summary").click()
    alice.get_by_role("button", name="Sign out").click()
    expect(alice.get_by_role("link", name="Sign in")).to_be_visible()
    assert alice.evaluate("localStorage.length") == 0


def test_two_tabs_keep_two_texts(alice: Page) -> None:
    post = write(alice, "A post")
    tabs = [alice, alice.context.new_page()]
    for tab, text in zip(tabs, ("Text of the first tab", "Text of the second tab"), strict=True):
        tab.goto(f"/posts/{post}")
        tab.get_by_label("Your comment").fill(text)
    for tab, text in zip(tabs, ("Text of the first tab", "Text of the second tab"), strict=True):
        tab.reload()
        expect(tab.get_by_label("Your comment")).to_have_value(text)
    tabs[0].get_by_role("button", name="Comment").click()
    expect(tabs[0].get_by_text("Comment posted.")).to_be_visible()
    tabs[1].reload()
    expect(tabs[1].get_by_label("Your comment")).to_have_value("Text of the second tab")


def test_the_text_of_a_closed_tab_comes_back_in_another(alice: Page) -> None:
    post = write(alice, "A post")
    closed = alice.context.new_page()
    closed.goto(f"/posts/{post}")
    closed.get_by_label("Your comment").fill("Not lost")
    closed.close()
    alice.goto(f"/posts/{post}")
    expect(alice.get_by_text("Your unsent text has been restored.")).to_be_visible()
    expect(alice.get_by_label("Your comment")).to_have_value("Not lost")
    third = alice.context.new_page()
    third.goto(f"/posts/{post}")
    until(third, "others.size > 0")
    expect(third.get_by_label("Your comment")).to_have_value("")


def test_an_own_vote_shows_in_the_other_tab_as_pressed(alice: Page) -> None:
    post = write(alice, "A post")
    other = alice.context.new_page()
    for tab in (alice, other):
        tab.goto(f"/posts/{post}")
    alice.get_by_role("button", name="Upvote").click()
    expect(other.get_by_role("button", name="Upvote")).to_have_attribute("aria-pressed", "true")


def test_offline_a_vote_and_a_comment_leave_the_page_as_it_is(alice: Page) -> None:
    post = write(alice, "A long read", "A paragraph.\n\n" * 60)
    alice.goto(f"/posts/{post}")
    alice.context.set_offline(True)
    vote = alice.get_by_role("button", name="Upvote")
    vote.click()
    expect(alice.get_by_text("Not sent: there is no connection.")).to_be_visible()
    expect(vote).to_have_attribute("aria-pressed", "false")
    alice.get_by_label("Your comment").fill("Typed in a tunnel")
    alice.get_by_role("button", name="Comment").click()
    expect(alice.locator("form.answer").get_by_role("alert")).to_contain_text("Not sent: there is no connection.")
    expect(alice.get_by_label("Your comment")).to_have_value("Typed in a tunnel")
    alice.context.set_offline(False)
    alice.get_by_role("button", name="Comment").click()
    expect(alice.get_by_text("Comment posted.")).to_be_visible()
    expect(alice.locator(".comment")).to_contain_text("Typed in a tunnel")


def test_offline_no_button_leaves_the_page(alice: Page, open_page: OpenPage) -> None:
    bob, slug = open_page("bob"), f"garden-{secrets.token_hex(4)}"
    ask(bob, "POST", "/api/circles", name=slug, slug=slug)
    post = write(alice, "A post")
    ask(alice, "POST", "/api/tokens", name="program")
    settled(alice, "/circles")
    follow(bob, alice.name)
    expect(alice.locator(BELL)).to_have_text("1")
    pages = (
        (f"/users/{bob.name}", "Follow"),
        (f"/circles/{slug}", "Join"),
        (f"/posts/{post}/delete", "Delete"),
        ("/settings", "Revoke"),
    )
    for address, button in pages:
        alice.goto(address)
        alice.context.set_offline(True)
        alice.locator("main").get_by_role("button", name=button, exact=True).click()
        expect(alice.get_by_text("Not sent: there is no connection.")).to_be_visible()
        expect(alice).to_have_url(re.compile(f"{re.escape(address)}$"))
        alice.context.set_offline(False)
        alice.locator("main").get_by_role("button", name=button, exact=True).click()
        expect(alice.locator("main").get_by_role("button", name=button, exact=True)).to_have_count(0)


@pytest.mark.parametrize("status", [500, *(pytest.param(status, marks=pytest.mark.slow) for status in (502, 429))])
def test_a_server_that_fails_leaves_the_page_and_the_text(alice: Page, status: int) -> None:
    post = write(alice, "A post")
    alice.goto(f"/posts/{post}")
    alice.route(re.compile("/(comments|vote)$"), lambda route: route.fulfill(status=status, body="<h1>Sorry</h1>"))
    alice.get_by_label("Your comment").fill("Typed for long")
    alice.get_by_role("button", name="Comment").click()
    expect(alice.locator("form.answer").get_by_role("alert")).to_contain_text("Not sent. Try again later.")
    expect(alice.get_by_label("Your comment")).to_have_value("Typed for long")
    alice.get_by_role("button", name="Upvote").click()
    expect(alice.locator("#live")).to_contain_text("Not sent. Try again later.")
    expect(alice.get_by_role("button", name="Upvote")).to_have_attribute("aria-pressed", "false")
    alice.unroute_all()
    alice.get_by_role("button", name="Comment").click()
    expect(alice.locator(".comment .prose")).to_have_text("Typed for long")


def test_what_is_refused_leaves_the_page_as_it_is_and_says_why(alice: Page, open_page: OpenPage) -> None:
    bob = open_page("bob")
    post = write(bob, "A post")
    alice.goto(f"/posts/{post}")
    ask(bob, "PUT", f"/api/users/{alice.name}/block")
    alice.get_by_label("Your comment").fill("Hello?")
    alice.get_by_role("button", name="Comment").click()
    refusal = alice.locator("form.answer").get_by_role("alert")
    expect(refusal).to_contain_text("This person has blocked you.")
    expect(alice.get_by_label("Your comment")).to_have_value("Hello?")
    alice.get_by_role("button", name="Upvote").click()
    expect(alice.locator("#live")).to_contain_text("This person has blocked you.")
    expect(alice).to_have_url(f"{alice.url.split('/posts')[0]}/posts/{post}")
