"""Hostile texts in every field: no script runs, nothing is asked of another host, and each title can be seen, clicked
and stays in its place. A window of these tests fails on its own if a page breaks the content security policy."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.api_actions import WITHIN, ask, comment, connected, follow
from tests.browser.conftest import PASSWORD, OpenPage, Site

pytestmark = [pytest.mark.chromium, pytest.mark.home]

SCRIPT = "<script>alert(1)</script><svg onload=alert(1)>"
LINES = {
    "script": SCRIPT,
    "attributes": "\" onmouseover=\"alert(1)\" autofocus onfocus='alert(1)' x='",
    "ends": "</title></textarea></template></style></option><img src=//evil.example/1 onerror=alert(1)>",
    "links": "[x](javascript:alert(1)) <javascript:alert(1)> data:text/html,<script>alert(1)</script>",
    "braces": "{{ 7|add:7 }}{% debug %}${alert(1)}{{constructor.constructor('alert(1)')()}} $& %(name)s %s {0}",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt; &#106;avascript:alert(1)",
    "direction": "see \u202eexe.txt\u2066 \u200f\u200bgone\u200d\ufeff \u05d0",
    "arabic": "مرحبا بكم، <b>هنا</b> “",
    "marks": "".join(letter + "\u0301" * 8 for letter in "HOSTILE"),
    "tall": "\u0f67" + "\u0fb1\u0fb2\u0fb3\u0f71\u0f74" + "ส\u0e39\u0e49 " + "a\u20dd\u20de\u0489",
    "long": "W" * 90,
    "wide": "\ufdfd\U00012019꧅" * 20,
    "nearly nothing": "\u3164\u200b.\u2800\u00ad",
}
NOTHING = {"zero width": "\u200b\u200d\ufeff", "filler": "\u3164\u2800", "tower": "a" + "\u0301" * 90}
BODY = (
    """\
<script>alert(1)</script> <img src=x onerror=alert(1)> </textarea> {{ 7|add:7 }}

<iframe src="https://evil.example/2"></iframe>

[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](java&#115;cript:alert(1)) [d](&#x6A;avascript:alert(1))
[e](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg) [f](vbscript:x) [g](\tjavascript:alert(1)) [h][h]
[i](https://evil.example/3 "\\" onmouseover=alert(1) x=\\"") ![j](https://evil.example/4.png) ![k](javascript:alert(1))
[l](//evil.example/5) <https://evil.example/"onmouseover=alert(1)> https://evil.example/'onfocus=alert(1)

[h]: javascript:alert(1)

| <svg onload=alert(1)> | [m](javascript:alert(1)) |
|:-:|---|
| `<script>` | ![n](data:image/svg+xml,<svg/onload=alert(1)>) |

```"onload="alert(1)
</code></pre><script>alert(1)</script>
```

# """
    + f"{LINES['marks']} {LINES['direction']}\n\n> {LINES['wide']}\n\n{LINES['tall']} {'W' * 400} @<b>name</b>"
)

#: What no page may hold: a script of an attribute, an address of another scheme, an element that loads from elsewhere.
HARMFUL = """() => {
  const found = [];
  for (const element of document.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      if (/^on/i.test(name) || name === "srcdoc") found.push(`${element.tagName} ${name}=${value}`);
    }
    for (const address of [element.protocol, element.action && new URL(element.action, location).protocol]) {
      if (address && !["http:", "https:", "mailto:"].includes(address)) found.push(`${element.tagName} ${address}`);
    }
    if (/^(iframe|object|embed|base|frame)$/i.test(element.tagName)) found.push(element.outerHTML);
    if (element.src && new URL(element.src, location).origin !== location.origin) found.push(element.outerHTML);
    const inline = element.tagName === "SCRIPT" && !element.src && element.type !== "application/json";
    if (inline) found.push(element.outerHTML);
  }
  return found;
}"""

#: Titles and names that cannot be seen or clicked, or that paint outside of their card.
MISPLACED = """() => {
  const found = [], room = 6;
  const of = (element) => `${element.tagName} ${element.textContent.trim().slice(0, 40)}`;
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) found.push(`the page is ${wide} too wide`);
  for (const element of document.querySelectorAll("main h1, main h2, .author, .byline a, .notices li > a, #live a")) {
    if (!element.checkVisibility() || element.closest(".unseen") || element.matches(".unseen")) continue;
    element.scrollIntoView({ block: "center" });
    const box = element.getBoundingClientRect(), shown = element.querySelector(":scope > a") ?? element;
    const [line] = shown.getClientRects();
    if (!line || line.width < 2 || line.height < 8) { found.push(`cannot be seen: ${of(element)}`); continue; }
    const top = document.elementFromPoint(line.x + Math.min(line.width / 2, 9), line.y + line.height / 2);
    if (!shown.contains(top)) found.push(`is covered: ${of(element)}`);
    const card = element.closest(".card, #live");
    if (!card) continue;
    const around = card.getBoundingClientRect();
    let clips = element;
    while (clips !== card && getComputedStyle(clips).overflowY !== "clip") clips = clips.parentElement;
    if (clips === card) found.push(`paints where it likes: ${of(element)}`);
    if (box.left < around.left - room || box.right > around.right + room || box.bottom > around.bottom + room) {
      found.push(`leaves its card: ${of(element)}`);
    }
  }
  return found;
}"""


@pytest.fixture
def watched(new_window: Callable[..., BrowserContext], site: Site) -> Iterator[Callable[..., None]]:
    """Watch the windows given: no dialog opens, and nothing is asked of another host."""
    happened: list[str] = []

    def watch(context: BrowserContext) -> None:
        context.on("dialog", lambda dialog: (happened.append(dialog.message), dialog.dismiss()))
        context.on("request", lambda request: happened.append(request.url) if is_elsewhere(request.url) else None)

    def is_elsewhere(address: str) -> bool:
        return not address.startswith((f"{site.address}/", "data:image/"))

    yield watch
    assert not happened


def harmless(page: Page, *, titles: bool = True) -> None:
    """Nothing on this page is a script of somebody, and each title is in its place."""
    assert page.evaluate(HARMFUL) == [], page.url
    if titles:
        assert page.evaluate(MISPLACED) == [], page.url


def visit(page: Page, address: str, **more: bool) -> None:
    """Open a page and look at it."""
    page.goto(address)
    harmless(page, **more)


def press(page: Page, name: str) -> None:
    """Press a button of a form, also if the browser itself finds fault with the form."""
    page.evaluate("document.querySelectorAll('form').forEach((form) => { form.noValidate = true; })")
    page.locator("main").get_by_role("button", name=name, exact=True).click()


def refused(page: Page) -> None:
    """The page says what is wrong."""
    expect(page.locator("main .error").first).not_to_be_empty()
    harmless(page)


def test_what_is_harmful_or_misplaced_would_be_found(new_window: Callable[..., BrowserContext]) -> None:
    page = new_window().new_page()
    page.goto("/circles")
    page.evaluate("""() => {
      const add = (html) => document.querySelector("main").insertAdjacentHTML("beforeend", html);
      add('<a href="javascript:x">a</a><b onx="y">b</b><h2><a href="/"></a></h2>');
      add('<div class="card"><h2 id="wild">c</h2></div>');
      document.getElementById("wild").style.cssText = "overflow: visible; position: relative; left: 2000px";
    }""")
    harmful, misplaced = page.evaluate(HARMFUL), page.evaluate(MISPLACED)
    assert harmful == ["A javascript:", "B onx=y"]
    for fault in ("too wide", "cannot be seen: H2 ", "paints where it likes: H2 c", "leaves its card: H2 c"):
        assert any(fault in found for found in misplaced), (fault, misplaced)


@pytest.mark.slow
def test_a_hostile_name_or_address_is_refused_with_the_reason(
    new_window: Callable[..., BrowserContext], watched: Callable[..., None]
) -> None:
    context = new_window()
    watched(context)
    page = context.new_page()
    for text in (*LINES.values(), *NOTHING.values()):
        page.goto("/register")
        page.get_by_label("Username").fill(text)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("Email").fill(text)
        press(page, "Register")
        refused(page)
    for text in (SCRIPT, LINES["attributes"], LINES["direction"]):
        page.goto(f"/login?next=javascript:alert(1)//{secrets.token_hex(2)}")
        page.get_by_label("Username").fill(text)
        page.get_by_label("Password").fill(text)
        press(page, "Sign in")
        refused(page)


@pytest.fixture
def writer(open_page: OpenPage, watched: Callable[..., None]) -> Page:
    """Somebody whose name has marks and goes from right to left, and whose browser has a hostile name."""
    page = open_page("م" + "\u064e" * 3 + "W" * 14, user_agent=f"Firefox {SCRIPT}\" onload='alert(1)'")
    watched(page.context)
    return page


@pytest.fixture
def reader(open_page: OpenPage, watched: Callable[..., None]) -> Page:
    page = open_page("reader")
    watched(page.context)
    return page


def test_hostile_posts_and_comments_stay_texts_on_every_page_and_in_the_toast(writer: Page, reader: Page) -> None:
    follow(reader, writer.name)
    reader.goto("/circles")
    connected(reader)
    posts = []
    for number, text in enumerate(LINES.values()):
        writer.goto("/posts/new")
        writer.get_by_label("Title").fill(text)
        writer.get_by_label("Text").fill(BODY)
        if not number:
            press(writer, "Preview")
            harmless(writer)
        press(writer, "Publish")
        expect(writer.get_by_text("Your post is published.")).to_be_visible()
        harmless(writer)
        posts.append(writer.url.rpartition("/")[2])
        expect(reader.locator("#live a")).to_have_attribute("href", f"/posts/{posts[-1]}")
        harmless(reader)
    for text in NOTHING.values():
        writer.goto("/posts/new")
        writer.get_by_label("Title").fill(text)
        press(writer, "Preview")
        harmless(writer)
        press(writer, "Publish")
        refused(writer)

    reader.goto(f"/posts/{posts[0]}")
    for number, text in enumerate((*LINES.values(), BODY), 1):
        reader.get_by_label("Your comment").fill(text)
        press(reader, "Comment")
        expect(reader.locator(".comment")).to_have_count(number)
    harmless(reader)
    reader.get_by_label("Your comment").fill(LINES["ends"] + BODY)
    reader.context.clear_cookies(name="csrftoken")
    press(reader, "Comment")
    expect(reader.get_by_role("heading", name="This form has expired")).to_be_visible()
    expect(reader.get_by_label("Your comment")).to_have_value(LINES["ends"] + BODY)
    harmless(reader)

    for address in ("/", "/?sort=new", f"/users/{writer.name}", "/notifications", "/search?q=alert"):
        visit(reader, address)
    for address in (f"/posts/{posts[2]}/edit", f"/posts/{posts[2]}/delete", "/notifications"):
        visit(writer, address)


@pytest.mark.slow
def test_hostile_circles_stay_texts(writer: Page, reader: Page) -> None:
    own = secrets.token_hex(4)
    for number, text in enumerate(LINES.values()):
        writer.goto("/circles/new")
        writer.get_by_label("Name").fill(text)
        writer.get_by_label("Address").fill(f"مر-{own}-{number}")
        writer.get_by_label("Description").fill(text)
        press(writer, "Create circle")
        expect(writer).to_have_url(re.compile(rf"{own}-{number}$"))
        harmless(writer)
    for field, text in (
        ("Address", SCRIPT),
        ("Address", "../../admin"),
        *(("Name", text) for text in NOTHING.values()),
    ):
        writer.goto("/circles/new")
        writer.get_by_label("Name").fill(f"Circle {own}")
        writer.get_by_label(field).fill(text)
        press(writer, "Create circle")
        refused(writer)
    reader.goto(f"/circles/مر-{own}-0")
    press(reader, "Join")
    expect(reader.get_by_text("2 members")).to_be_visible()
    writer.goto(f"/posts/new?circle=مر-{own}-1")
    writer.get_by_label("Title").fill("In a circle")
    press(writer, "Publish")
    expect(writer.get_by_text("Your post is published.")).to_be_visible()
    for page, address in ((reader, "/?sort=new"), (reader, "/circles"), (writer, "/posts/new")):
        visit(page, address)
    until_shown(writer, "/notifications", f"{reader.name} joined")
    harmless(writer)


def until_shown(page: Page, address: str, text: str) -> None:
    """Open a page again until it shows a text."""
    deadline = time.monotonic() + WITHIN
    page.goto(address)
    while text not in page.locator("main").inner_text():
        assert time.monotonic() < deadline, text
        page.wait_for_timeout(200)
        page.goto(address)


@pytest.mark.slow
def test_hostile_settings_searches_and_addresses_stay_texts(writer: Page) -> None:
    writer.goto("/settings")
    for number, text in enumerate(LINES.values(), 1):
        writer.get_by_label("What is this token for?").fill(text)
        press(writer, "Create token")
        expect(writer.locator("#tokens .lines li")).to_have_count(number)
    harmless(writer)
    for field, text in (("Username", SCRIPT), ("Email", SCRIPT), ("Email", '"<script>alert(1)</script>"@example.org')):
        writer.goto("/settings")
        form = writer.locator("form[action='/settings/account']")
        form.get_by_label(field, exact=True).fill(text)
        form.get_by_label("Current password").fill(PASSWORD)
        writer.evaluate("document.querySelectorAll('form').forEach((form) => { form.noValidate = true; })")
        form.get_by_role("button", name="Save").click()
        expect(writer.locator("main .error, main .message.success").first).to_be_visible()
        harmless(writer)
    for text in LINES.values():
        writer.goto("/search")
        writer.get_by_label("Search for").fill(text)
        press(writer, "Search")
        expect(writer).to_have_url(re.compile(r"\?q="))
        expect(writer.get_by_label("Search for")).to_have_value(text)
        harmless(writer)
    parameters = f"{SCRIPT}\"'%3E{LINES['ends']}"
    for address in ("/users/", "/circles/", "/?sort=", "/posts/new?circle=", "/search?q=x&author=", "/login?next="):
        visit(writer, f"{address}{parameters}")


def test_hostile_texts_stay_texts_for_an_administrator(
    writer: Page, operator: OpenPage, watched: Callable[..., None]
) -> None:
    page = operator()
    watched(page.context)
    own = secrets.token_hex(4)
    for number, text in enumerate(LINES.values()):
        ask(writer, "POST", "/api/circles", name=text, slug=f"مر-{own}-{number}", description=text)
        post = ask(writer, "POST", "/api/posts", title=text, body=BODY, circle=f"مر-{own}-{number}")["id"]
        comment(writer, post, text)
    page.goto("/")
    ask(page, "DELETE", f"/api/posts/{post}?" + urlencode({"reason": f"{SCRIPT}{LINES['attributes']}"}))
    visit(page, f"/posts/{post}/restore")
    visit(page, f"/posts/{post - 1}/delete")
    kinds = ("user", "post", "comment", "circle", "membership", "usersession")
    for kind in (*(f"feeds/{kind}" for kind in kinds), "notifications/notification", "events/storedevent"):
        visit(page, f"/admin/{kind}/", titles=False)
        rows = page.locator("#result_list tbody th a").evaluate_all("(all) => all.map((a) => [a.href, a.offsetWidth])")
        assert rows, kind
        assert all(width > 1 for _, width in rows), (kind, rows)
        visit(page, rows[0][0], titles=False)
    for part in ("change", "delete", "history"):
        visit(page, f"/admin/feeds/post/{post}/{part}/", titles=False)
