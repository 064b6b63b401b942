"""Texts: what somebody typed is never lost, and gone from the browser once the server has it."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.api_actions import write
from tests.browser.conftest import Enter

pytestmark = [pytest.mark.chromium, pytest.mark.home]


@pytest.fixture
def alice(enter: Enter) -> Page:
    return enter("alice")


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
