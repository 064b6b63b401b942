"""Every script: titles can be seen and clicked, and each text has its own direction and language."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.api_actions import write
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.chromium, pytest.mark.home]

ARABIC = "مرحبا بكم في المجتمع."
BODY = f"{ARABIC}\n\n- أولا\n- ثانيا\n\n> قال\n\nEnglish at the end."


@pytest.fixture
def alice(open_page: OpenPage) -> Page:
    return open_page("alice")


def direction(page: Page, selector: str) -> str:
    return page.locator(selector).first.evaluate("element => getComputedStyle(element).direction")


def test_arabic_stands_right_to_left_and_its_page_does_not(alice: Page) -> None:
    post = write(alice, ARABIC, BODY)
    alice.goto(f"/posts/{post}")
    for selector in ("h1", ".prose p", ".prose ul", ".prose blockquote"):
        assert direction(alice, selector) == "rtl", selector
    for selector in ("html", ".byline", ".prose > p:last-child"):
        assert direction(alice, selector) == "ltr", selector
    assert alice.locator("h1").get_attribute("lang") == "ar"
    first = alice.locator(".prose li").first.evaluate(
        "item => item.parentElement.getBoundingClientRect().right - item.getBoundingClientRect().right"
    )
    assert first > 10  # the bullets stand at the right
    alice.goto(f"/posts/{post}/edit")
    for label in ("Title", "Text"):
        assert alice.get_by_label(label).evaluate("field => getComputedStyle(field).direction") == "rtl"


def test_chinese_says_its_language_on_an_english_page(alice: Page) -> None:
    post = write(alice, "关于数据库", "**注意：**请看")
    alice.goto(f"/posts/{post}")
    assert alice.locator("h1").get_attribute("lang") == "zh"
    expect(alice.locator(".prose strong")).to_have_text("注意：")


def test_no_title_is_invisible_and_none_covers_another_post(alice: Page) -> None:
    for title in ("\u200b", "\u3164", "a" + "\u0301" * 290):
        answer = alice.request.post(
            "/api/posts", data={"title": title, "body": "x"}, headers={"X-CSRFToken": _csrf(alice)}
        )
        assert answer.status == 422, answer.text()
    write(alice, "see \u202eexe.txt", "x")
    write(alice, "a" + "\u0301" * 8, "x")
    alice.goto("/?sort=new")
    for link in alice.locator(".posts h2 a").all():
        assert link.bounding_box()["width"] > 5
    assert alice.locator(".posts h2").first.evaluate("title => getComputedStyle(title).overflowY") == "clip"


def _csrf(page: Page) -> str:
    return next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "csrftoken")
