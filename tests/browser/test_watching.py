"""Watching: the numbers of a long page change in place, within what the server takes from one page."""

import json
import re
import time

import pytest
from playwright.sync_api import Page, expect

from notifications.live.frames import FrameRate
from notifications.live.socket import WATCH_FRAMES, WATCHED
from tests.browser.api_actions import ask, connected, until, write
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.chromium, pytest.mark.home]

ARTICLES = re.compile(r'<article class="card" id="post-.*?</article>', re.DOTALL)


@pytest.fixture
def alice(open_page: OpenPage) -> Page:
    return open_page("alice")


@pytest.fixture
def bob(open_page: OpenPage) -> Page:
    return open_page("bob")


def open_long_page(page: Page, author: str) -> None:
    """Open the profile of somebody with the posts of all its pages on one, as the scripts find them."""
    html = page.context.request.get(f"/users/{author}").text()
    articles = ""
    while more := re.search(r'rel="next" href="([^"]+)"', html):
        html = page.context.request.get(f"/users/{author}{more[1].replace('&amp;', '&')}").text()
        articles += "".join(ARTICLES.findall(html))
    page.add_init_script(
        f"""document.addEventListener("readystatechange", () => {{
            if (document.readyState !== "interactive") return;
            document.querySelector(".posts").insertAdjacentHTML("beforeend", {json.dumps(articles)});
        }});"""
    )
    page.goto(f"/users/{author}")
    connected(page)


def score(post: int) -> str:
    return f"#post-{post} form.votes [data-score]"


def vote(page: Page, post: int) -> None:
    ask(page, "PUT", f"/api/posts/{post}/vote", vote_type="up")


@pytest.mark.parametrize("count", [30, pytest.param(WATCHED, marks=pytest.mark.slow)])
def test_many_posts_are_watched_and_their_numbers_change_together(alice: Page, bob: Page, count: int) -> None:
    posts = [write(alice, f"Number {number}") for number in range(count)]
    open_long_page(bob, alice.name)
    until(bob, f"watched.size === {count}")
    for post in (some := (posts[0], posts[count // 2], posts[-1])):
        expect(bob.locator(score(post))).to_have_text("0")
        vote(alice, post)
        expect(bob.locator(score(post))).to_have_text("1")

    bob.evaluate(
        """() => {
            changes = 0;
            const changed = (found) => found.some(({ target }) => target.matches("[data-score]")) && changes++;
            new MutationObserver(changed).observe(document.body, { childList: true, subtree: true });
        }"""
    )
    bob.context.set_offline(True)
    for post in posts:
        vote(bob, post)
    bob.context.set_offline(False)
    for post in posts:
        expect(bob.locator(score(post))).to_have_text("2" if post in some else "1")
    assert bob.evaluate("changes") < count / 2  # one per frame that is drawn, not one per post


@pytest.mark.slow
def test_of_more_posts_those_near_the_window_are_watched_within_the_limits_of_the_server(
    alice: Page, bob: Page
) -> None:
    posts = [write(alice, f"Number {number}") for number in range(WATCHED + 30)][::-1]
    sent: list[tuple[float, dict[str, object]]] = []
    opened: list[object] = []

    def note(frame: str) -> None:
        sent.append((time.monotonic(), json.loads(frame)))

    bob.on("websocket", lambda socket: (opened.append(socket), socket.on("framesent", note)))
    open_long_page(bob, alice.name)
    assert bob.locator("article[data-post]").count() == len(posts)
    until(bob, f"watched.has('{posts[0]}')")
    assert bob.evaluate(f"!watched.has('{posts[-1]}') && watched.size < {WATCHED}")
    vote(alice, posts[0])
    expect(bob.locator(score(posts[0]))).to_have_text("1")

    bob.locator(f"#post-{posts[-1]}").scroll_into_view_if_needed()
    until(bob, f"watched.has('{posts[-1]}') && !watched.has('{posts[0]}')")
    vote(alice, posts[-1])
    expect(bob.locator(score(posts[-1]))).to_have_text("1")
    vote(bob, posts[0])

    for post in posts[:: len(posts) // 8]:
        bob.locator(f"#post-{post}").scroll_into_view_if_needed()
        until(bob, f"watched.has('{post}')")
    bob.locator(f"#post-{posts[0]}").scroll_into_view_if_needed()
    expect(bob.locator(score(posts[0]))).to_have_text("2")  # shown again: the number is right at once
    assert len(opened) == 1
    times = [at for at, frame in sent if frame["op"] in ("watch", "unwatch")]
    assert len(times) > WATCH_FRAMES  # so there was something to bound
    most = max(sum(at <= other < at + FrameRate.SECONDS for other in times) for at in times)
    assert most <= WATCH_FRAMES
