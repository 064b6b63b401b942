"""The second factor in Chromium: set up and sign in, with and without JavaScript, in both languages."""

import io
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD
from tests.support.factors import App

pytestmark = [pytest.mark.chromium, pytest.mark.home]

WORDS = {
    "en-GB": (
        "Current password",
        "Set up",
        "Code",
        "Turn on",
        "Download",
        "Username",
        "Password",
        "Sign in",
        "Second step",
    ),
    "zh-CN": ("当前密码", "设置", "验证码", "开启", "下载", "用户名", "密码", "登录", "第二步验证"),
}


@pytest.mark.parametrize(
    ("locale", "scripts"), [("en-GB", True), pytest.param("en-GB", False, marks=pytest.mark.slow), ("zh-CN", False)]
)
def test_it_is_set_up_and_asked_for(open_page, locale: str, scripts: bool) -> None:
    current, set_up, code, turn_on, download, username, password, sign_in, second = WORDS[locale]
    page = open_page("alice", java_script_enabled=scripts, locale=locale)
    refused: list[str] = []
    page.on("console", lambda line: refused.append(line.text) if "Content Security Policy" in line.text else None)
    page.goto("/settings")
    page.locator("#factor").get_by_role("link", name=set_up).click()
    page.get_by_label(current).fill(PASSWORD)
    page.get_by_role("button", name=set_up).click()
    expect(page.locator(".qr svg")).to_be_visible()
    size = page.locator(".qr svg").bounding_box()
    assert size is not None
    assert size["width"] == size["height"] >= 150
    square, ground = page.locator(".qr path.qrline"), page.locator(".qr path").first
    for line, style in (
        (square, {"stroke-width": "1px", "stroke-linecap": "butt", "stroke": "rgb(0, 0, 0)"}),
        (ground, {"stroke": "none", "fill": "rgb(255, 255, 255)"}),
    ):
        for name, value in style.items():  # a camera must be able to read it
            expect(line).to_have_css(name, value)
    app = App(page.locator("code.secret").inner_text().replace(" ", ""))
    assert secret_seen_by_a_camera(page) == app.secret
    page.get_by_role("textbox", name=code, exact=True).fill(app.code())
    page.get_by_role("button", name=turn_on).click()
    expect(page.locator(".codes li")).to_have_count(10)
    kept = page.locator(".codes code").all_inner_texts()
    with page.expect_download() as download_:
        page.get_by_role("link", name=download).click()
    assert download_.value.suggested_filename == "airy-recovery-codes.txt"
    assert Path(download_.value.path()).read_text().split() == kept

    page.context.clear_cookies()
    page.goto("/login?next=/circles")
    page.get_by_label(username).fill(page.name)
    page.get_by_label(password).fill(PASSWORD)
    page.get_by_role("button", name=sign_in).click()
    expect(page.get_by_role("heading", name=second)).to_be_visible()
    page.get_by_role("textbox", name=code, exact=True).fill(kept[0].lower())
    page.get_by_role("button", name=sign_in).click()
    expect(page).to_have_url(re.compile("/circles$"))
    expect(page.locator(".top .me")).to_have_text(page.name)
    assert refused == []


def secret_seen_by_a_camera(page: Page) -> str:
    """The secret in the code on the page, read from a picture of the screen as the app on a phone does."""
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(page.screenshot())).convert("L"))
    assert code.format == zxingcpp.BarcodeFormat.QRCode
    address = urlsplit(code.text)
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert page.name in address.path
    return parse_qs(address.query)["secret"][0]


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
@pytest.mark.parametrize("scripts", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["script", "plain"])
def test_the_code_that_a_camera_reads_leads_in_on_a_phone(open_page, scheme: str, scripts: bool) -> None:
    phone = {"width": 360, "height": 740}
    page = open_page("alice", java_script_enabled=scripts, color_scheme=scheme, viewport=phone)
    page.goto("/settings/factor")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    page.locator(".qr").scroll_into_view_if_needed()
    app = App(secret_seen_by_a_camera(page))
    page.get_by_role("textbox", name="Code", exact=True).fill(app.code(steps=-1))
    page.get_by_role("button", name="Turn on").click()
    expect(page.locator(".codes li")).to_have_count(10)

    page.context.clear_cookies()
    page.goto("/login")
    page.get_by_label("Username").fill(page.name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("textbox", name="Code", exact=True).fill(app.wrong_code())
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("main .error")).not_to_be_empty()
    page.get_by_role("textbox", name="Code", exact=True).fill(app.code())
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".top .me")).to_have_text(page.name)
