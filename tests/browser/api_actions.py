"""Actions of a user through the API, while a page is watched."""

from __future__ import annotations

import time
from typing import Any

from playwright.sync_api import Page, expect

BELL = "#bell [data-unread]"
#: Seconds that an event may take on a busy machine.
WITHIN = 30


def ask(page: Page, method: str, address: str, **data: Any) -> Any:
    """Send a request as the one who is signed in; returns what was answered."""
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    headers = {"X-CSRFToken": cookies["csrftoken"]}
    answer = page.context.request.fetch(address, method=method, data=data or None, headers=headers)
    assert answer.ok, (method, address, answer.status, answer.text())
    return answer.json() if answer.body() else None


def write(page: Page, title: str, body: str = "Some words.") -> int:
    """Publish a post; returns its id."""
    return ask(page, "POST", "/api/posts", title=title, body=body)["id"]


def comment(page: Page, post_id: int, content: str, parent_id: int | None = None) -> int:
    """Comment on a post; returns the comment's id."""
    return ask(page, "POST", f"/api/posts/{post_id}/comments", content=content, parent_id=parent_id)["id"]


def follow(page: Page, name: str) -> None:
    """Follow somebody."""
    ask(page, "PUT", f"/api/users/{name}/follow")


def settled(page: Page, address: str, *, notices: int = 1) -> None:
    """Open a page when so many notices have come (the first one is the welcome) and all are read."""
    deadline = time.monotonic() + WITHIN
    while len(found := ask(page, "GET", "/api/notifications")["items"]) < notices:
        assert time.monotonic() < deadline, f"{page.name} has only {found}"
        page.wait_for_timeout(100)
    ask(page, "POST", "/api/notifications/read", upto=found[0]["seq"])
    page.goto(address)
    connected(page)
    expect(page.locator(BELL)).to_be_hidden()


def connected(page: Page) -> None:
    """Wait until the page's socket is ready."""
    until(page, "socket.readyState === 1 && beat !== undefined")


def until(page: Page, holds: str, *, within: float = 30.0) -> None:
    """Wait until an expression holds in the page; asked from outside, so that the page's policy may forbid eval."""
    deadline = time.monotonic() + within
    while not page.evaluate(holds):
        assert time.monotonic() < deadline, f"not within {within} s: {holds}"
        page.wait_for_timeout(50)
