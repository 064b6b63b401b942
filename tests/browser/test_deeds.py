"""Deeds: what is sent while nobody is signed in goes on after the sign-in, and a form makes one thing. Each with
JavaScript and without."""

from __future__ import annotations

import random
import re
import secrets
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from feeds.models import Post
from tests.browser.api_actions import WITHIN, ask, comment, write
from tests.browser.conftest import PASSWORD, OpenPage

pytestmark = [pytest.mark.chromium, pytest.mark.home]


@pytest.fixture(params=[True, False], ids=["script", "plain"])
def visitor(new_window: Callable[..., BrowserContext], request: pytest.FixtureRequest) -> Page:
    """A window in which nobody is signed in."""
    return new_window(java_script_enabled=request.param).new_page()


@pytest.fixture
def alice(open_page: OpenPage) -> Page:
    return open_page("alice")


@pytest.fixture
def bob(open_page: OpenPage) -> str:
    """The name of somebody with an account."""
    return open_page("bob").name


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """By the form, which must be shown."""
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def end_session(page: Page) -> None:
    """The session ends, as it does by itself or in the settings, and the page notices nothing."""
    page.context.clear_cookies(name="sessionid")


def test_a_vote_goes_on_after_the_sign_in(visitor: Page, alice: Page, bob: str) -> None:
    post = write(alice, "Vote for me")
    visitor.goto(f"/posts/{post}")
    visitor.locator("article").get_by_role("button", name="Upvote").click()
    expect(visitor.get_by_text("Your vote is kept for an hour. Sign in, and it goes on.")).to_be_visible()
    sign_in(visitor, bob)
    expect(visitor.get_by_text("Your vote is saved.")).to_be_visible()
    expect(visitor.locator("article [data-score]")).to_have_text("1")
    expect(visitor).to_have_url(re.compile(rf"/posts/{post}#post-{post}$"))


def test_a_follow_goes_on_after_the_sign_in(visitor: Page, alice: Page, bob: str) -> None:
    visitor.goto(f"/users/{alice.name}")
    visitor.get_by_role("button", name="Follow").click()
    sign_in(visitor, bob)
    expect(visitor.get_by_text(f"You follow {alice.name} now.")).to_be_visible()
    expect(visitor.get_by_role("button", name="Unfollow")).to_be_visible()
    expect(visitor).to_have_url(re.compile(rf"/users/{alice.name}(\?sort=new)?$"))


def test_joining_a_circle_goes_on_after_the_sign_in(visitor: Page, alice: Page, bob: str) -> None:
    slug = f"garden-{secrets.token_hex(4)}"
    ask(alice, "POST", "/api/circles", name=slug, slug=slug)
    visitor.goto(f"/circles/{slug}")
    visitor.get_by_role("button", name="Join").click()
    sign_in(visitor, bob)
    expect(visitor.get_by_text("You have joined the circle.")).to_be_visible()
    expect(visitor.get_by_role("button", name="Leave")).to_be_visible()
    expect(visitor).to_have_url(re.compile(rf"/circles/{slug}(\?sort=new)?$"))


def test_reply_leads_to_the_open_form(visitor: Page, alice: Page, bob: str) -> None:
    post = write(alice, "Answer me")
    said = comment(alice, post, "What do you think?")
    visitor.goto(f"/posts/{post}")
    visitor.get_by_role("link", name="Reply").click()
    sign_in(visitor, bob)
    form = visitor.locator(f"#comment-{said} form.answer")
    form.get_by_role("textbox").fill("A lot")
    form.get_by_role("button", name="Comment").click()
    expect(visitor.locator(".answers .comment .prose")).to_have_text("A lot")


def test_a_comment_survives_the_end_of_its_session(visitor: Page, alice: Page, bob: str) -> None:
    post = write(alice, "Say something")
    visitor.goto(f"/login?next=/posts/{post}")
    sign_in(visitor, bob)
    visitor.get_by_label("Your comment").fill("Long thought about")
    end_session(visitor)
    visitor.get_by_role("button", name="Comment").click()
    expect(visitor.get_by_text("Your comment is kept for an hour.")).to_be_visible()
    sign_in(visitor, bob, "wrong")
    expect(visitor.get_by_text("Wrong username or password.")).to_be_visible()
    sign_in(visitor, bob)
    expect(visitor.get_by_text("Comment posted.")).to_be_visible()
    expect(visitor.locator(".comment .prose")).to_have_text("Long thought about")
    expect(visitor).to_have_url(re.compile(rf"/posts/{post}\?comment=\d+#comment-\d+$"))
    expect(visitor.get_by_label("Your comment")).to_have_value("")


def test_a_reply_a_vote_and_a_follow_survive_the_end_of_their_session(visitor: Page, alice: Page, bob: str) -> None:
    post = write(alice, "Say something")
    said = comment(alice, post, "What do you think?")
    visitor.goto(f"/login?next=/posts/{post}")
    sign_in(visitor, bob)
    visitor.locator(f"#comment-{said}").get_by_role("link", name="Reply").click()
    form = visitor.locator(f"#comment-{said} form.answer")
    form.get_by_role("textbox").fill("Long thought about")
    end_session(visitor)
    form.get_by_role("button", name="Comment").click()
    sign_in(visitor, bob)
    expect(visitor.get_by_text("Comment posted.")).to_be_visible()
    expect(visitor.locator(".answers .comment .prose")).to_have_text("Long thought about")
    expect(visitor).to_have_url(re.compile(rf"/posts/{post}\?comment=\d+#comment-\d+$"))

    end_session(visitor)
    visitor.locator(f"#comment-{said} > .actions").get_by_role("button", name="Upvote").click()
    expect(visitor.get_by_text("Your vote is kept for an hour.")).to_be_visible()
    sign_in(visitor, bob)
    expect(visitor.get_by_text("Your vote is saved.")).to_be_visible()
    expect(visitor.locator(f"#comment-{said} > .actions [data-score]")).to_have_text("1")
    expect(visitor).to_have_url(re.compile(rf"/posts/{post}.*#comment-{said}$"))

    visitor.goto(f"/users/{alice.name}")
    end_session(visitor)
    visitor.get_by_role("button", name="Follow").click()
    sign_in(visitor, bob)
    expect(visitor.get_by_text(f"You follow {alice.name} now.")).to_be_visible()
    expect(visitor).to_have_url(re.compile(rf"/users/{alice.name}(\?sort=new)?$"))


def test_an_edit_survives_the_end_of_its_session(visitor: Page, bob: str) -> None:
    visitor.goto("/login?next=/posts/new")
    sign_in(visitor, bob)
    visitor.get_by_label("Title").fill("A title")
    visitor.get_by_role("button", name="Publish").click()
    visitor.get_by_role("link", name="Edit").click()
    visitor.get_by_label("Text").fill("Text that came later")
    end_session(visitor)
    visitor.get_by_role("button", name="Save").click()
    expect(visitor.get_by_text("Your changes are kept for an hour.")).to_be_visible()
    sign_in(visitor, bob)
    expect(visitor.locator("article .prose")).to_have_text("Text that came later")
    expect(visitor).to_have_url(re.compile(r"/posts/\d+$"))


def test_what_is_too_long_to_be_kept_stays_on_the_page(visitor: Page, bob: str) -> None:
    visitor.goto("/login?next=/posts/new")
    sign_in(visitor, bob)
    chance = random.Random(1)
    text = "".join(chr(chance.randrange(0x4E00, 0x9FA0)) for _ in range(Post.BODY_LENGTH))
    visitor.get_by_label("Title").fill("Too long")
    visitor.get_by_label("Text").fill(text)
    typed = hash(visitor.get_by_label("Text").input_value())  # the text itself would fill the screen
    end_session(visitor)
    visitor.get_by_role("button", name="Publish").click()
    expect(visitor.get_by_text("This is too long to be kept.")).to_be_visible()
    assert hash(visitor.get_by_label("Text").input_value()) == typed
    expect(visitor.get_by_label("Title")).to_have_value("Too long")


def test_of_two_tabs_whose_session_ended_both_texts_are_kept(open_page: OpenPage, alice: Page) -> None:
    """The session keeps the newer one, the browser the other."""
    posts = [write(alice, "The first"), write(alice, "The second")]
    bob = open_page("bob")
    tabs = [bob, bob.context.new_page()]
    for tab, post in zip(tabs, posts, strict=True):
        tab.goto(f"/posts/{post}")
        tab.get_by_label("Your comment").fill(f"On {post}")
    end_session(bob)
    for tab in tabs:
        tab.get_by_role("button", name="Comment").click()
        expect(tab.get_by_text("Your comment is kept for an hour.")).to_be_visible()
    sign_in(tabs[1], bob.name)
    expect(tabs[1].get_by_text("Comment posted.")).to_be_visible()
    expect(tabs[1].locator(".comment .prose")).to_have_text(f"On {posts[1]}")
    tabs[0].goto(f"/posts/{posts[0]}")
    expect(tabs[0].get_by_label("Your comment")).to_have_value(f"On {posts[0]}")
    expect(tabs[0].locator(".comment")).to_have_count(0)


def test_a_post_survives_the_end_of_its_session(visitor: Page, bob: str) -> None:
    visitor.goto("/login?next=/posts/new")
    sign_in(visitor, bob)
    visitor.get_by_label("Title").fill("Long title")
    visitor.get_by_label("Text").fill("Long text")
    end_session(visitor)
    visitor.get_by_role("button", name="Publish").click()
    sign_in(visitor, bob)
    expect(visitor.get_by_text("Your post is published.")).to_be_visible()
    expect(visitor.locator("article .prose")).to_have_text("Long text")


def test_a_form_of_an_old_session_is_sent_again(visitor: Page, alice: Page, bob: str) -> None:
    post = write(alice, "Two tabs")
    visitor.goto(f"/login?next=/posts/{post}")
    sign_in(visitor, bob)
    visitor.get_by_label("Your comment").fill("Typed before")
    visitor.context.clear_cookies(name="csrftoken")
    visitor.get_by_role("button", name="Comment").click()
    expect(visitor.get_by_role("heading", name="This form has expired")).to_be_visible()
    expect(visitor.get_by_label("Your comment")).to_have_value("Typed before")
    visitor.get_by_role("button", name="Send again").click()
    expect(visitor.locator(".comment .prose")).to_have_text("Typed before")


def test_going_back_and_sending_again_asks_and_drops_nothing(visitor: Page, alice: Page, bob: str) -> None:
    post = write(alice, "Once is enough")
    visitor.goto(f"/login?next=/posts/{post}")
    sign_in(visitor, bob)
    visitor.get_by_label("Your comment").fill("Once")
    visitor.get_by_role("button", name="Comment").click()
    expect(visitor.get_by_text("Comment posted.")).to_be_visible()
    visitor.go_back()
    visitor.get_by_label("Your comment").fill("Once")
    visitor.get_by_role("button", name="Comment").click()
    expect(visitor.get_by_text("You have sent this form already:")).to_be_visible()
    expect(visitor.get_by_label("Your comment")).to_have_value("Once")
    expect(visitor.locator(".comment")).to_have_count(1)
    visitor.get_by_label("Your comment").fill("Twice")
    visitor.get_by_role("button", name="Comment").click()
    expect(visitor.get_by_text("Comment posted.")).to_be_visible()
    expect(visitor.locator(".comment")).to_have_count(2)


@pytest.fixture
def lose_the_answer(visitor: Page) -> Callable[[], None]:
    """The next form arrives, and its answer does not. Returns what waits until then."""
    arrived: list[int] = []

    def lose(route: Route) -> None:
        arrived.append(route.fetch(max_redirects=0).status)
        route.fulfill(status=204)  # which leaves the page in its place, as the end of a connection would not

    visitor.route(re.compile("/comments$"), lose, times=1)

    def arrive() -> None:
        deadline = time.monotonic() + WITHIN
        while not arrived:
            assert time.monotonic() < deadline
            visitor.wait_for_timeout(50)
        assert arrived[0] in {200, 302}

    return arrive


@pytest.mark.parametrize("changed", [False, True], ids=["same", "changed"])
def test_a_form_that_arrives_twice_makes_one_thing_and_a_changed_one_asks(
    visitor: Page, alice: Page, bob: str, lose_the_answer: Callable[[], None], changed: bool
) -> None:
    post = write(alice, "Was it sent?")
    visitor.goto(f"/login?next=/posts/{post}")
    sign_in(visitor, bob)
    text, send = visitor.get_by_label("Your comment"), visitor.get_by_role("button", name="Comment", exact=True)
    text.fill("Now")
    send.click()
    lose_the_answer()
    expect(text).to_have_value("Now")
    if changed:
        text.fill("Or never")
        send.click()
        expect(visitor.get_by_text("You have sent this form already:")).to_be_visible()
        expect(text).to_have_value("Or never")
        expect(visitor.locator(".comment .prose")).to_have_text("Now")
    send.click()
    expect(visitor.get_by_text("Comment posted.").first).to_be_visible()
    expect(visitor.locator(".comment .prose")).to_have_text(["Now", "Or never"] if changed else ["Now"])
    expect(text).to_have_value("")


def test_a_double_click_makes_one_post_one_circle_and_one_token(
    visitor: Page, bob: str, request: pytest.FixtureRequest
) -> None:
    word = f"twice{secrets.token_hex(4)}"
    visitor.goto("/login?next=/posts/new")
    sign_in(visitor, bob)
    visitor.get_by_label("Title").fill(word)
    visitor.get_by_role("button", name="Publish").dblclick()
    expect(visitor.get_by_text("Your post is published.").first).to_be_visible()
    visitor.goto("/circles/new")
    visitor.get_by_label("Name").fill(word)
    visitor.get_by_role("button", name="Create circle").dblclick()
    expect(visitor.get_by_text("1 member")).to_be_visible()
    visitor.goto("/settings")
    visitor.get_by_label("What is this token for?").fill(word)
    visitor.get_by_role("button", name="Create token").dblclick()
    expect(visitor.locator("#tokens .lines li")).to_have_count(1)
    if request.node.callspec.params["visitor"]:  # without a script the answer to the second click says what happened
        expect(visitor.locator("#tokens code.secret")).to_be_visible()
    visitor.goto(f"/users/{bob}")
    expect(visitor.get_by_role("heading", name=word)).to_have_count(1)
    visitor.goto("/circles")
    expect(visitor.get_by_role("link", name=word)).to_have_count(1)
    visitor.goto("/settings")
    expect(visitor.locator("#tokens .lines li")).to_have_count(1)
