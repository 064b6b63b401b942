"""Blocked is gone: who is blocked or muted is on no page of the other, also with what was there before. Each with
JavaScript and without."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection

import pytest
from playwright.sync_api import Page, expect

from tests.browser.api_actions import BELL, WITHIN, ask, comment, connected, follow, write
from tests.browser.conftest import PASSWORD, OpenPage

pytestmark = [pytest.mark.chromium, pytest.mark.home]


@pytest.fixture(params=[True, False], ids=["script", "plain"])
def alice(open_page: OpenPage, request: pytest.FixtureRequest) -> Page:
    return open_page("alice", java_script_enabled=request.param)


@pytest.fixture
def bob(open_page: OpenPage) -> Page:
    return open_page("bob")


@pytest.fixture
def carol(open_page: OpenPage) -> Page:
    return open_page("carol")


def choose(page: Page, name: str, verb: str) -> None:
    """Press Block or Mute on a person's page."""
    page.goto(f"/users/{name}")
    page.locator("main .menu summary").click()
    page.get_by_role("button", name=verb, exact=True).click()


def upvote(page: Page, post: int) -> None:
    """Vote for a post."""
    ask(page, "PUT", f"/api/posts/{post}/vote", vote_type="up")


def until_notices(page: Page, *wanted: str, gone: Collection[str] = ()) -> None:
    """Wait until each of these stands in a notice, and none of those that are gone."""
    deadline = time.monotonic() + WITHIN
    while True:
        told = "\n".join(item["text"] for item in ask(page, "GET", "/api/notifications")["items"])
        if all(part in told for part in wanted) and not any(part in told for part in gone):
            return
        assert time.monotonic() < deadline, (wanted, gone, told)
        page.wait_for_timeout(100)


@pytest.mark.parametrize("verb", ["Block", pytest.param("Mute", marks=pytest.mark.slow)])
def test_who_is_blocked_or_muted_is_gone_from_every_page_with_what_was_before(
    alice: Page, bob: Page, carol: Page, open_page: OpenPage, verb: str
) -> None:
    dave, word = open_page("dave"), f"medlar{secrets.token_hex(4)}"
    mine, another = write(alice, f"Mine of {word}"), write(carol, f"Another's of {word}")
    for voter in (dave, carol, bob):
        upvote(voter, mine)
    follow(alice, bob.name)
    follow(bob, alice.name)
    theirs = write(bob, f"Theirs of {word}")
    said = comment(bob, mine, "Said before")
    comment(carol, mine, "Said by another")
    comment(bob, another, f"Ask @{alice.name}")
    deeds = ("posted", "commented", "followed", "mentioned")
    until_notices(alice, "and 2 others", f"{carol.name} commented", *(f"{bob.name} {did}" for did in deeds))
    alice.goto(f"/search?q={word}")
    expect(alice.get_by_role("heading", name=f"Theirs of {word}")).to_be_visible()
    expect(alice.locator(BELL)).to_have_text("7")

    choose(alice, bob.name, verb)
    expect(alice.get_by_text(f"You've {verb.lower()}")).to_be_visible()
    expect(alice.locator(BELL)).to_have_text("3")
    for address in ("/notifications", "/", "/?sort=new", f"/search?q={word}", f"/posts/{mine}", f"/comments/{said}"):
        alice.goto(address)
        expect(alice.locator("main")).not_to_contain_text(bob.name)
        expect(alice.get_by_text(f"Theirs of {word}")).to_have_count(0)
        expect(alice.get_by_text("Said before")).to_have_count(0)
        if address == "/notifications":
            expect(alice.get_by_text(f"{carol.name} and {dave.name} upvoted")).to_be_visible()
        elif address.startswith("/search"):
            expect(alice.locator(f"#post-{another}")).to_be_visible()
        elif address.startswith("/posts/") or (address.startswith("/comments/") and verb == "Mute"):
            expect(alice.get_by_text("Said by another")).to_be_visible()
        elif address.startswith("/comments/"):
            expect(alice.get_by_role("heading", name="Page not found")).to_be_visible()
    alice.goto(f"/posts/{theirs}")
    expect(
        alice.get_by_role("heading", name="Page not found" if verb == "Block" else f"Theirs of {word}")
    ).to_be_visible()

    bob.goto(f"/posts/{mine}")
    expect(bob.get_by_role("heading", name="Page not found" if verb == "Block" else f"Mine of {word}")).to_be_visible()

    comment(bob, another, f"Hear me, @{alice.name}")
    comment(carol, another, f"And me, @{alice.name}")
    until_notices(alice, f"{carol.name} mentioned", gone=(bob.name,))
    alice.goto("/notifications")
    expect(alice.get_by_text(f"{carol.name} mentioned")).to_be_visible()
    expect(alice.locator("main")).not_to_contain_text(bob.name)


@pytest.mark.parametrize("verb", ["Block", pytest.param("Mute", marks=pytest.mark.slow)])
def test_an_open_tab_hears_of_it_and_of_nothing_behind_it(
    open_page: OpenPage, bob: Page, carol: Page, verb: str
) -> None:
    alice = open_page("alice")
    mine, theirs = write(alice, "Mine"), write(bob, "Theirs")
    comment(bob, mine, "Said before")
    until_notices(alice, f"{bob.name} commented", "Welcome")
    other = alice.context.new_page()
    other.goto("/?sort=new")
    connected(other)
    scores = {post: other.locator(f"#post-{post} [data-score]") for post in (mine, theirs)}
    upvote(carol, theirs)
    expect(scores[theirs]).to_have_text("1")
    expect(other.locator(BELL)).to_have_text("2")

    choose(alice, bob.name, verb)
    expect(alice.locator(BELL)).to_have_text("1")
    expect(other.locator(BELL)).to_have_text("1")
    if verb == "Block":
        ask(carol, "DELETE", f"/api/posts/{theirs}/vote")
        comment(carol, theirs, "Unheard")
    else:
        comment(bob, mine, "Unheard")
    upvote(carol, mine)
    expect(scores[mine]).to_have_text("1")
    expect(other.locator("#live")).to_contain_text(f"{carol.name} upvoted")
    expect(other.locator(BELL)).to_have_text("2")
    other.wait_for_timeout(1000)
    expect(scores[theirs]).to_have_text("1")
    expect(other.locator(f"#post-{theirs} [data-comments]")).to_have_text("0")
    expect(other.locator(BELL)).to_have_text("2")
    expect(other.locator("#live")).not_to_contain_text(bob.name)


def test_who_is_blocked_is_refused_and_keeps_the_page_and_the_text(alice: Page, bob: Page) -> None:
    """Here alice is the one who is blocked."""
    post = write(bob, "A post")
    person = alice.context.new_page()
    alice.goto(f"/posts/{post}")
    person.goto(f"/users/{bob.name}")
    ask(bob, "PUT", f"/api/users/{alice.name}/block")
    alice.get_by_label("Your comment").fill("Hello?")
    alice.get_by_role("button", name="Comment").click()
    expect(alice.get_by_text("This person has blocked you.")).to_be_visible()
    expect(alice.get_by_label("Your comment")).to_have_value("Hello?")
    person.get_by_role("button", name="Follow").click()
    expect(person.get_by_text("This person has blocked you.")).to_be_visible()


def test_who_is_banned_while_typing_posts_nothing_and_signs_in_no_more(
    alice: Page, bob: Page, operator: OpenPage
) -> None:
    post = write(bob, "A post")
    alice.goto(f"/posts/{post}")
    alice.get_by_label("Your comment").fill("Hello?")
    admin = operator()
    admin.goto(f"/admin/feeds/user/?q={alice.name}")
    admin.locator("#result_list tbody th a").click()
    admin.get_by_label("Active").uncheck()
    admin.get_by_role("button", name="Save", exact=True).click()
    expect(admin.get_by_text("changed successfully")).to_be_visible()
    alice.get_by_role("button", name="Comment").click()
    expect(alice.get_by_text("Your comment is kept for an hour.")).to_be_visible()
    alice.get_by_label("Username").fill(alice.name)
    alice.get_by_label("Password").fill(PASSWORD)
    alice.locator("main").get_by_role("button", name="Sign in").click()
    expect(alice.locator("main").get_by_role("alert")).not_to_be_empty()
    assert ask(bob, "GET", f"/api/posts/{post}/comments")["items"] == []


def test_a_notice_says_what_its_subject_says_today_and_goes_with_its_follow(alice: Page, bob: Page) -> None:
    post = write(alice, "A secret")
    comment(bob, post, "I read it")
    follow(bob, alice.name)
    until_notices(alice, "commented on “A secret”", f"{bob.name} followed you")
    alice.goto(f"/posts/{post}/edit")
    expect(alice.locator(BELL)).to_have_text("3")
    alice.get_by_label("Title").fill("Nothing to see")
    alice.get_by_role("button", name="Save").click()
    expect(alice.get_by_role("heading", name="Nothing to see")).to_be_visible()
    bob.goto(f"/users/{alice.name}")
    bob.get_by_role("button", name="Unfollow").click()
    former, bob.name = bob.name, f"robert{bob.name[3:]}"
    ask(bob, "PATCH", "/api/me", username=bob.name, current_password=PASSWORD)
    until_notices(alice, bob.name, "Nothing to see", gone=("followed you", "A secret", former))
    alice.goto("/circles")
    expect(alice.locator(BELL)).to_have_text("2")
    alice.goto("/notifications")
    expect(alice.get_by_text(f"{bob.name} commented on “Nothing to see”")).to_be_visible()
    expect(alice.get_by_text(former)).to_have_count(0)
    expect(alice.get_by_text("A secret")).to_have_count(0)
    expect(alice.get_by_text("followed you")).to_have_count(0)
