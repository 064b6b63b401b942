"""Appearance: pages fit a phone, can be worked by keyboard, and have enough contrast in light and in dark."""

import pytest
from playwright.sync_api import expect

from tests.browser.api_actions import comment, write
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.chromium, pytest.mark.home]

#: Every text that has the contrast of its colours below what WCAG AA asks for.
FAINT = """() => {
  const light = (part) => part <= 10 ? part / 3294 : ((part / 255 + .055) / 1.055) ** 2.4;
  const brightness = ([r, g, b]) => .2126 * light(r) + .7152 * light(g) + .0722 * light(b);
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = numbers(getComputedStyle(element).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest(".unseen, .skip")) continue;
    const both = [numbers(getComputedStyle(element).color), ground(element)].map((colour) => brightness(colour) + .05);
    const ratio = Math.max(...both) / Math.min(...both);
    if (ratio < 4.5) faint.push(`${element.outerHTML.slice(0, 80)} ${ratio.toFixed(2)}`);
  }
  return faint;
}"""


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_every_page_fits_a_phone_and_is_legible(open_page: OpenPage, scheme: str) -> None:
    page = open_page("alice", viewport={"width": 360, "height": 740}, color_scheme=scheme)
    post = write(page, "W" * 200, "https://example.org/" + "x" * 300 + "\n\n| a | b |\n|---|---|\n|" + "y" * 90 + "|z|")
    parent = None
    for number in range(12):
        parent = comment(page, post, f"Comment {number} `code` " + "z" * 80, parent)
    addresses = ("/", "/?sort=top", f"/posts/{post}", f"/posts/{post}/edit", f"/posts/{post}/delete", "/posts/new")
    addresses += ("/drafts", "/circles", "/circles/new", f"/users/{page.name}", "/search?q=Comment", "/settings")
    for address in (*addresses, "/notifications", "/no/such/page", "/logout"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address
        assert page.evaluate(FAINT) == [], address


def test_the_keyboard_reaches_the_content_first(open_page: OpenPage) -> None:
    page = open_page("alice")
    page.goto("/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_what_can_be_filled_in_or_pressed_has_a_name(open_page: OpenPage) -> None:
    page = open_page("alice")
    post = write(page, "A post")
    comment(page, post, "A comment")
    unnamed = """() => [...document.querySelectorAll("a, button, summary, input:not([type=hidden]), textarea, select")]
        .filter((e) => e.checkVisibility() && !(e.labels?.length || e.textContent.trim() || e.ariaLabel))
        .map((e) => e.outerHTML)"""
    for address in ("/", f"/posts/{post}", "/posts/new", "/settings", "/search", "/notifications"):
        page.goto(address)
        assert page.evaluate(unnamed) == [], address
        assert page.locator("main h1").count() == 1, address


def test_a_chinese_browser_reads_chinese_and_may_switch(open_page: OpenPage) -> None:
    page = open_page("李雷", locale="zh-CN")
    page.goto("/notifications")
    expect(page.get_by_role("heading", name="通知")).to_be_visible()
    expect(page.get_by_text("欢迎来到 Airy！")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Notifications")).to_be_visible()
