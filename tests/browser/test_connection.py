"""The connection of a page: it sleeps while the tab is hidden, comes back by itself, and says when it is off."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.browser.api_actions import BELL, ask, comment, connected, follow, settled, until, write
from tests.browser.conftest import PASSWORD, OpenPage, Site

pytestmark = [pytest.mark.chromium, pytest.mark.home]

LINE = "#connection"
PAUSED = "Live updates are paused; trying again…"
SIGNED_OUT = "You are signed out here. Sign in again."
#: Milliseconds.
MINUTE = 60_000


@pytest.fixture
def alice(open_page: OpenPage) -> Page:
    return open_page("alice")


@pytest.fixture
def bob(open_page: OpenPage) -> Page:
    return open_page("bob")


def frozen(page: Page, address: str = "/circles") -> Page:
    """Open a page and stop its clock: from here on its time passes by `fast_forward` alone."""
    page.clock.install()
    settled(page, address)
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    page.evaluate("() => { told = []; tell = (note) => told.push(note.kind); }")
    page.evaluate("Math.random = () => 1")
    return page


def set_hidden(page: Page, hidden: bool) -> None:
    """What the page gets when its tab is hidden or shown; a headless browser shows all of its tabs."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def has_unread(page: Page, number: int) -> None:
    """Wait until so many notices are unread on the server. Fails after 30 s."""
    time_limit = time.monotonic() + 30
    while ask(page, "GET", "/api/me")["unread"] != number:
        assert time.monotonic() < time_limit
        page.wait_for_timeout(100)


def sockets_of(page: Page) -> list[WebSocket]:
    """The sockets that the page opens from now on."""
    opened: list[WebSocket] = []
    page.on("websocket", lambda socket: opened.append(socket))
    return opened


@contextmanager
def down(site: Site) -> Iterator[None]:
    """The site is down, and up again at the end."""
    site.stop()
    try:
        yield
    finally:
        site.start()


# Sleep


def test_a_tab_that_is_hidden_for_long_sleeps_and_has_missed_nothing_when_it_is_shown(alice: Page, bob: Page) -> None:
    post = write(alice, "A question")
    frozen(alice)
    set_hidden(alice, True)
    alice.clock.fast_forward(5 * MINUTE - 5000)
    follow(bob, alice.name)
    expect(alice.locator(BELL)).to_have_text("1")

    alice.clock.fast_forward(6000)
    until(alice, "socket === noSocket && asleep")
    asked: list[object] = []
    for what in ("websocket", "request"):
        alice.on(what, lambda one: asked.append(one))
    comment(bob, post, "An answer")
    has_unread(alice, 2)
    alice.clock.fast_forward(60 * MINUTE)
    assert alice.evaluate("[unread, socket === noSocket]") == [1, True]
    assert asked == []

    set_hidden(alice, False)
    connected(alice)
    expect(alice.locator(BELL)).to_have_text("2")
    expect(alice).to_have_title(re.compile(r"^\(2\) "))
    assert alice.evaluate("told")[0] == "follow"
    assert alice.evaluate("told").count("follow") == 1
    assert "comment" in alice.evaluate("told")
    assert len(asked) == 1  # the socket


def test_a_tab_that_is_hidden_for_less_stays_connected(alice: Page, bob: Page) -> None:
    frozen(alice)
    sockets = sockets_of(alice)
    for _ in range(3):
        set_hidden(alice, True)
        alice.clock.fast_forward(4 * MINUTE)
        set_hidden(alice, False)
        alice.clock.fast_forward(1000)
    follow(bob, alice.name)
    expect(alice.locator(BELL)).to_have_text("1")
    assert sockets == []


def test_the_title_of_a_tab_that_sleeps_follows_the_other_tabs(alice: Page, bob: Page) -> None:
    frozen(alice)
    other = alice.context.new_page()
    other.goto("/circles")
    connected(other)
    set_hidden(alice, True)
    alice.clock.fast_forward(6 * MINUTE)
    until(alice, "asleep")
    follow(bob, alice.name)
    expect(other.locator(BELL)).to_have_text("1")
    expect(alice).to_have_title(re.compile(r"^\(1\) "))
    assert alice.evaluate("socket === noSocket")


def test_a_tab_that_slept_while_somebody_else_signed_in_shows_nothing_of_them(alice: Page, bob: Page) -> None:
    frozen(alice)
    set_hidden(alice, True)
    alice.clock.fast_forward(6 * MINUTE)
    until(alice, "asleep")
    alice.context.clear_cookies()
    answer = alice.context.request.post("/api/login", data={"username": bob.name, "password": PASSWORD})
    assert answer.ok
    set_hidden(alice, False)
    expect(alice.locator(LINE)).to_have_text(SIGNED_OUT)
    assert alice.evaluate("[unread, told]") == [0, []]


def test_each_of_two_tabs_has_one_socket_and_tells_each_notice_once(alice: Page, bob: Page) -> None:
    tabs = [alice, alice.context.new_page()]
    sockets = [sockets_of(tab) for tab in tabs]
    for tab in tabs:
        settled(tab, "/circles") if tab is alice else tab.goto("/circles")
        connected(tab)
        tab.evaluate("() => { told = []; tell = (note) => told.push(note.kind); }")
    follow(bob, alice.name)
    for tab in tabs:
        expect(tab.locator(BELL)).to_have_text("1")
        set_hidden(tab, True)
        set_hidden(tab, False)
    comment(bob, write(alice, "A question"), "An answer")
    for tab in tabs:
        expect(tab.locator(BELL)).to_have_text("2")
        assert tab.evaluate("told") == ["follow", "comment"]
    assert [len(opened) for opened in sockets] == [1, 1]


# Coming back


def test_the_pauses_before_it_comes_back_double_from_half_a_second_to_thirty_and_are_random(
    alice: Page, site: Site
) -> None:
    frozen(alice)
    with down(site):
        until(alice, "again !== undefined && socket === noSocket")
        alice.clock.fast_forward(5000)  # as the server asked
        sockets = sockets_of(alice)
        until(alice, "failures === 2 && socket === noSocket")
        for failures, pause in enumerate((1000, 2000, 4000, 8000, 16_000, 30_000, 30_000), start=2):
            tried = len(sockets)
            alice.clock.fast_forward(pause - 50)
            assert alice.evaluate("[failures, socket === noSocket]") == [failures, True]
            assert len(sockets) == tried
            alice.clock.fast_forward(100)
            until(alice, f"failures === {failures + 1} && socket === noSocket")
        alice.evaluate("Math.random = () => 0.25")
        alice.clock.fast_forward(30_000)
        until(alice, "failures === 10 && socket === noSocket")
        alice.clock.fast_forward(7400)
        assert alice.evaluate("failures") == 10
        alice.clock.fast_forward(200)
        until(alice, "failures === 11 && socket === noSocket")
    alice.clock.fast_forward(30_000)
    connected(alice)
    assert alice.evaluate("failures") == 11


def test_failures_are_forgotten_when_it_was_ready_for_a_while(alice: Page) -> None:
    frozen(alice)
    for failures in (1, 2):
        alice.evaluate("socket.close()")
        until(alice, f"failures === {failures} && socket === noSocket")
        alice.clock.fast_forward(1000)
        connected(alice)
    alice.clock.fast_forward(11_000)
    alice.evaluate("socket.close()")
    until(alice, "failures === 1 && socket === noSocket")


def test_it_comes_back_when_a_server_that_stops_asks_for_it(alice: Page, site: Site) -> None:
    frames: list[str] = []
    alice.on("websocket", lambda opened: opened.on("framereceived", lambda frame: frames.append(str(frame))))
    frozen(alice)
    sockets = sockets_of(alice)
    with down(site):
        until(alice, "again !== undefined && socket === noSocket")
        asked = int(re.search(r'"op":\s?"drain".*?(\d+)', "".join(frames))[1])
        assert 500 <= asked <= 5000
        alice.clock.fast_forward(asked - 50)
        assert alice.evaluate("[failures, socket === noSocket]") == [1, True]
        assert sockets == []
        alice.clock.fast_forward(100)
        until(alice, "failures === 2")
        assert len(sockets) == 1
    alice.clock.fast_forward(30_000)
    connected(alice)


@pytest.mark.parametrize(
    "code", [4408, *(pytest.param(code, marks=pytest.mark.slow) for code in (4409, 4429, 1012)), 1013]
)
def test_it_tries_again_after_a_code_that_passes(alice: Page, code: int) -> None:
    frozen(alice)
    alice.context.route_web_socket(re.compile("/ws/"), lambda route: route.close(code=code))
    alice.evaluate("socket.close()")
    for failures in (1, 2, 3):
        until(alice, f"failures === {failures} && socket === noSocket")
        alice.clock.fast_forward(30_000)
    until(alice, "failures === 4")


def test_a_page_that_was_signed_out_elsewhere_says_so_and_tries_no_more(alice: Page) -> None:
    frozen(alice)
    sockets = sockets_of(alice)
    ask(alice, "POST", "/api/logout")
    says_and_rests(alice, sockets, SIGNED_OUT)
    alice.locator(LINE).get_by_role("link").click()
    expect(alice).to_have_url(re.compile(r"/login\?next=%2Fcircles$"))


def test_a_page_of_a_banned_person_says_so_and_tries_no_more(alice: Page, site: Site) -> None:
    frozen(alice)
    change = f"from feeds.models import User; User.objects.filter(username={alice.name!r}).update(is_active=False)"
    site.manage("shell", "-c", change)
    alice.evaluate("socket.close()")
    until(alice, "socket === noSocket")
    sockets = sockets_of(alice)
    alice.clock.fast_forward(1000)
    says_and_rests(alice, sockets, "This account has been deactivated.", tries=1)


def test_a_page_whose_frames_the_server_refuses_says_that_it_is_out_of_date(alice: Page) -> None:
    frozen(alice)
    sockets = sockets_of(alice)
    alice.evaluate("for (let i = 0; i < 3; i++) socket.send('?')")
    says_and_rests(alice, sockets, "This page is out of date. Reload it.")


def says_and_rests(page: Page, sockets: list[WebSocket], text: str, *, tries: int = 0) -> None:
    """The line says why, and neither time nor the user's coming back makes another try. A round of the server may have
    said it first, before any try."""
    expect(page.locator(LINE)).to_have_text(text)
    page.clock.fast_forward(10 * MINUTE)
    set_hidden(page, True)
    set_hidden(page, False)
    page.evaluate("dispatchEvent(new Event('online'))")
    page.clock.fast_forward(MINUTE)
    assert page.evaluate("socket === noSocket")
    assert len(sockets) <= tries
    expect(page.locator(LINE)).to_have_text(text)


# Saying it


@pytest.mark.parametrize(("locale", "text"), [("en-GB", "You are offline."), ("zh-CN", "你已离线。")])
def test_it_says_that_one_is_offline_and_comes_back_at_once(
    open_page: OpenPage, bob: Page, locale: str, text: str
) -> None:
    alice = open_page("alice", locale=locale)
    post = write(alice, "A question")
    settled(alice, "/circles")
    expect(alice.locator(LINE)).to_have_attribute("role", "status")
    alice.evaluate("() => { told = []; tell = (note) => told.push(note.kind); }")
    alice.context.set_offline(True)
    expect(alice.locator(LINE)).to_have_text(text)
    follow(bob, alice.name)
    comment(bob, post, "An answer")
    until(alice, "failures > 1")
    expect(alice.locator(LINE)).to_have_text(text)
    alice.evaluate("failures = 20")  # the next pause would be long
    alice.context.set_offline(False)
    expect(alice.locator(LINE)).to_be_empty()
    until(alice, "socket.readyState === 1 && beat !== undefined", within=5)
    expect(alice.locator(BELL)).to_have_text("2")
    assert alice.evaluate("told") == ["follow", "comment"]


def test_a_visitor_who_is_offline_is_told_too(new_window: OpenPage) -> None:
    page = new_window().new_page()
    page.goto("/circles")
    page.context.set_offline(True)
    expect(page.locator(LINE)).to_have_text("You are offline.")
    page.context.set_offline(False)
    expect(page.locator(LINE)).to_be_empty()


def test_it_says_that_the_server_cannot_be_reached_after_five_seconds_and_until_it_is_ready(
    alice: Page, site: Site
) -> None:
    frozen(alice)
    with down(site):
        until(alice, "again !== undefined && socket === noSocket")
        alice.clock.fast_forward(4500)
        expect(alice.locator(LINE)).to_be_empty()
        alice.clock.fast_forward(1000)
        expect(alice.locator(LINE)).to_have_text(PAUSED)
    expect(alice.locator(LINE)).to_have_text(PAUSED)
    until(alice, "again !== undefined && socket === noSocket")
    alice.clock.fast_forward(30_000)
    connected(alice)
    expect(alice.locator(LINE)).to_be_empty()
    alice.clock.fast_forward(10_000)
    expect(alice.locator(LINE)).to_be_empty()


def test_a_short_interruption_is_not_said(alice: Page) -> None:
    settled(alice, "/circles")
    alice.evaluate(
        "() => { said = 0; before = socket; new MutationObserver(() => said++).observe(line, { childList: true }); }"
    )
    alice.evaluate("socket.close()")
    until(alice, "socket !== before && socket.readyState === 1 && beat !== undefined")
    assert alice.evaluate("said") == 0


def test_without_javascript_there_is_no_line_about_the_connection(new_window: OpenPage) -> None:
    page = new_window(java_script_enabled=False).new_page()
    page.goto("/circles")
    expect(page.locator(LINE)).to_be_empty()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
