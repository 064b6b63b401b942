"""Live: what happens in one window shows in another by itself, and moves nothing there."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.api_actions import BELL, ask, comment, connected, follow, settled, until, write
from tests.browser.conftest import OpenPage, Site

pytestmark = pytest.mark.chromium


@pytest.fixture
def alice(open_page: OpenPage) -> Page:
    return open_page("alice")


@pytest.fixture
def bob(open_page: OpenPage) -> Page:
    return open_page("bob")


def test_a_post_rings_the_followers_bell_and_waits_behind_a_button(alice: Page, bob: Page) -> None:
    follow(bob, alice.name)
    settled(bob, "/")

    alice.goto("/posts/new")
    alice.get_by_label("Title").fill("Fresh from the garden")
    alice.get_by_label("Text").fill("Tomatoes!")
    alice.get_by_role("button", name="Publish").click()
    expect(alice.get_by_text("Your post is published.")).to_be_visible()

    expect(bob.locator(BELL)).to_have_text("1")
    expect(bob.locator("#live")).to_contain_text(f"{alice.name} posted “Fresh from the garden”")
    expect(bob).to_have_title(re.compile(r"^\(1\) "))
    offer = bob.get_by_role("button", name="1 new")
    expect(offer).to_be_visible()
    expect(bob.get_by_role("heading", name="Fresh from the garden")).to_have_count(0)
    write(alice, "And another")
    write(alice, "And a third")
    bob.get_by_role("button", name="3 new").click()
    for title in ("Fresh from the garden", "And another", "And a third"):
        expect(bob.get_by_role("heading", name=title)).to_be_visible()
    expect(offer).to_be_hidden()


@pytest.mark.home
def test_an_answer_rings_the_bell_of_who_is_answered(alice: Page, bob: Page) -> None:
    post = write(alice, "A question")
    mine = comment(bob, post, "My answer")
    settled(bob, "/circles")
    alice.goto(f"/posts/{post}")
    alice.locator(f"#comment-{mine}").get_by_role("link", name="Reply").click()
    alice.keyboard.type("Thank you!")
    alice.keyboard.press("Control+Enter")
    expect(alice.get_by_text("Comment posted.")).to_be_visible()
    expect(bob.locator(BELL)).to_have_text("1")
    note = bob.locator("#live a")
    expect(note).to_have_text(f"{alice.name} replied to your comment on “A question”")
    note.click()
    expect(bob.get_by_text("Thank you!")).to_be_visible()


@pytest.mark.home
def test_a_half_typed_reply_and_the_place_on_the_page_survive_what_comes(alice: Page, bob: Page) -> None:
    post = write(bob, "A long read", "A paragraph.\n\n" * 80)
    first = comment(alice, post, "First!")
    for number in range(9):
        comment(alice, post, f"Comment {number}")
    settled(bob, f"/posts/{post}", notices=11)
    bob.locator(f"#comment-{first}").get_by_role("link", name="Reply").click()
    bob.keyboard.type("I was just about to s")
    before = bob.evaluate("[scrollY, document.activeElement.id, document.activeElement.selectionStart]")
    assert before[0] > 500

    for number in range(5):
        comment(alice, post, f"Meanwhile {number}")
    ask(alice, "PUT", f"/api/posts/{post}/vote", vote_type="up")
    expect(bob.get_by_role("button", name="New comments: 5")).to_be_visible()
    expect(bob.locator(BELL)).to_have_text("6")
    expect(bob.locator("article [data-score]")).to_have_text("1")
    bob.evaluate("() => { before = socket; socket.close(); }")
    until(bob, "socket !== before")
    connected(bob)

    assert bob.evaluate("[scrollY, document.activeElement.id, document.activeElement.selectionStart]") == before
    bob.keyboard.type("ay it")
    reply = bob.get_by_label(f"Reply to {alice.name}")
    expect(reply).to_have_value("I was just about to say it")

    bob.get_by_role("button", name="New comments: 5").click()
    expect(bob.get_by_text("Meanwhile 4")).to_be_visible()
    expect(bob.get_by_label(f"Reply to {alice.name}")).to_have_value("I was just about to say it")


@pytest.mark.home
def test_votes_of_others_change_the_number_in_place(alice: Page, bob: Page) -> None:
    follow(bob, alice.name)
    post = write(alice, "Vote on this")
    settled(bob, f"/users/{alice.name}", notices=2)
    shown = bob.locator(f"#post-{post} [data-score]")
    expect(shown).to_have_text("0")
    ask(alice, "PUT", f"/api/posts/{post}/vote", vote_type="up")
    expect(shown).to_have_text("1")
    comment(alice, post, "A word")
    expect(bob.locator(f"#post-{post} [data-comments]")).to_have_text("1")


@pytest.mark.home
def test_a_vote_of_ones_own_shows_without_a_new_page(alice: Page) -> None:
    post = write(alice, "Vote on this")
    alice.goto(f"/posts/{post}")
    connected(alice)
    alice.evaluate("window.same = true")
    up, down = alice.get_by_role("button", name="Upvote"), alice.get_by_role("button", name="Downvote")
    score = alice.locator("article [data-score]")
    up.click()
    expect(score).to_have_text("1")
    expect(up).to_have_attribute("aria-pressed", "true")
    down.click()
    expect(score).to_have_text("-1")
    down.click()
    expect(score).to_have_text("0")
    expect(down).to_have_attribute("aria-pressed", "false")
    assert alice.evaluate("window.same")


@pytest.mark.home
def test_opening_the_notifications_reads_what_is_shown_and_no_more(alice: Page, bob: Page) -> None:
    post = write(alice, "Much discussed")
    for number in range(25):
        comment(bob, post, f"Comment {number}")
    until_unread(alice, 26)
    alice.goto("/notifications")
    expect(alice.locator("li.unread")).to_have_count(20)
    expect(alice.locator(BELL)).to_have_text("6")
    other = alice.context.new_page()
    other.goto("/circles")
    expect(other.locator(BELL)).to_have_text("6")
    alice.get_by_role("link", name="More").click()
    expect(alice.locator("li.unread")).to_have_count(6)
    expect(alice.locator(BELL)).to_be_hidden()
    expect(other.locator(BELL)).to_be_hidden()
    expect(alice.get_by_role("button", name="Mark all as read")).to_be_hidden()


@pytest.mark.home
def test_what_comes_while_the_notifications_are_open_stays_unread_until_it_is_shown(alice: Page, bob: Page) -> None:
    post = write(alice, "Much discussed")
    comment(bob, post, "First")
    until_unread(alice, 2)
    alice.goto("/notifications")
    expect(alice.locator("li.unread")).to_have_count(2)
    expect(alice.locator(BELL)).to_be_hidden()
    other = alice.context.new_page()
    other.goto("/circles")
    connected(other)
    follow(bob, alice.name)
    for page in (alice, other):
        expect(page.locator(BELL)).to_have_text("1")
    alice.bring_to_front()
    assert ask(alice, "GET", "/api/me")["unread"] == 1
    alice.get_by_role("button", name="1 new").click()
    expect(alice.locator("li.unread")).to_have_count(1)
    for page in (alice, other):
        expect(page.locator(BELL)).to_be_hidden()


def until_unread(page: Page, count: int) -> None:
    """Wait until so many notices are unread."""
    deadline = time.monotonic() + 30
    while (unread := ask(page, "GET", "/api/me")["unread"]) < count:
        assert time.monotonic() < deadline, f"{unread} of {count}"
        page.wait_for_timeout(100)


def test_reading_in_one_tab_clears_the_bell_in_the_other(alice: Page, bob: Page) -> None:
    settled(alice, "/circles")
    follow(bob, alice.name)
    expect(alice.locator(BELL)).to_have_text("1")
    other = alice.context.new_page()
    other.goto("/notifications")
    expect(other.get_by_text(f"{bob.name} followed you")).to_be_visible()
    expect(alice.locator(BELL)).to_be_hidden()


def test_a_socket_that_was_cut_misses_nothing_and_tells_nothing_twice(alice: Page, bob: Page) -> None:
    settled(alice, "/circles")
    alice.evaluate("() => { told = []; tell = (note) => told.push(note.kind); }")
    follow(bob, alice.name)
    expect(alice.locator(BELL)).to_have_text("1")
    alice.evaluate("socket.close()")
    comment(bob, write(alice, "While away"), "Where are you?")
    expect(alice.locator(BELL)).to_have_text("2")
    connected(alice)
    assert alice.evaluate("told") == ["follow", "comment"]


def test_an_open_page_goes_on_after_the_server_was_restarted(alice: Page, bob: Page, site: Site) -> None:
    settled(alice, "/circles")
    alice.evaluate("() => { told = []; tell = (note) => told.push(note.kind); }")
    site.stop()
    site.start()
    follow(bob, alice.name)
    expect(alice.locator(BELL)).to_have_text("1")
    comment(bob, write(alice, "Back again"), "So am I")
    expect(alice.locator(BELL)).to_have_text("2")
    assert alice.evaluate("told") == ["follow", "comment"]


@pytest.mark.home
def test_the_bell_asks_where_no_socket_gets_through(alice: Page, bob: Page) -> None:
    settled(alice, "/circles")
    alice.context.route_web_socket(re.compile("/ws/"), lambda route: route.close())
    alice.goto("/circles")
    follow(bob, alice.name)
    expect(alice.locator(BELL)).to_have_text("1", timeout=40_000)
    expect(alice.locator("#live")).to_contain_text("followed you")
