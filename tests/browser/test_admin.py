"""The admin's picture of the task pools, on the running site: legible in light and dark, live without script."""

import pytest
from playwright.sync_api import expect

from tests.browser.test_appearance import FAINT

pytestmark = [pytest.mark.chromium, pytest.mark.home]

PROCESSES = "/admin/events/process/"


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_the_pools_of_all_processes_are_drawn(operator, scheme: str) -> None:
    page = operator(color_scheme=scheme, viewport={"width": 1280, "height": 700})
    page.goto(PROCESSES)
    row = page.locator("#result_list tbody tr").first
    expect(row.locator(".field-state")).to_have_text("alive")
    expect(row.locator(".field-relay")).to_have_text("active")
    expect(row.get_by_role("img", name="of 10,000 slots in use")).to_be_visible()
    expect(row.locator(".field-pool")).to_contain_text("capacity 10,000")
    assert page.evaluate(FAINT.replace("body *", "#result_list tbody *")) == []
    seen = row.locator(".gauge .slots").first.evaluate(
        "(slot) => [getComputedStyle(slot).stroke, getComputedStyle(document.body).backgroundColor]"
    )
    assert seen[0] != seen[1]
    row.get_by_role("link").click()
    expect(page.get_by_role("img", name="of 10,000 slots in use")).to_be_visible()
    expect(page.locator(".field-totals")).to_contain_text("submitted")


def test_the_list_renews_itself_while_one_looks_at_it(operator) -> None:
    page = operator()
    page.goto(PROCESSES)
    first = page.evaluate("performance.timeOrigin")
    with page.expect_navigation(timeout=20_000):
        pass
    assert page.evaluate("performance.timeOrigin") > first
    expect(page.locator("#result_list .gauge").first).to_be_visible()


def test_a_chinese_administrator_finds_the_picture_in_chinese_pages(operator) -> None:
    page = operator(locale="zh-CN")
    page.goto(PROCESSES)
    assert page.evaluate("document.documentElement.lang") == "zh-hans"
    expect(page.locator("#result_list .gauge svg").first).to_be_visible()
    expect(page.locator("#result_list .column-beat_at")).to_have_text("最近心跳")
