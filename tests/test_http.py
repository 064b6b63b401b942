"""HTTP: what is kept of an answer, HEAD, compression, and what pages tell the browser."""

from __future__ import annotations

import gzip
import secrets
from typing import Any

import pytest
from django.test import Client

from airy.compression import PADDING, SMALLEST, compressed
from feeds import actions
from feeds.models import User
from tests.support.api_client import Program
from tests.support.browsers import Window, window
from tests.support.factories import CircleFactory, CommentFactory, PostFactory, UserFactory
from tests.support.routes import api_routes, routes

pytestmark = pytest.mark.django_db

PERSONAL = "private, no-store"


@pytest.fixture
def alice() -> Window:
    return window()


@pytest.fixture
def rows(alice: Window) -> dict[str, object]:
    """A value for each parameter of a path."""
    post = PostFactory(author=alice.user, circle=CircleFactory(slug="cats"))
    comment = CommentFactory(post=post, author=alice.user)
    token = actions.create_token(alice.user, name="test")[0]
    found = {"post_id": post.pk, "comment_id": comment.pk, "slug": "cats", "username": alice.user.username}
    return found | {
        "entity_id": post.pk,
        "token_id": token.pk,
        "session_id": 1,
        "user_id": alice.user.pk,
        "uidb64": "MQ",
        "token": "of-a-letter",
    }


def pages(rows: dict[str, object]) -> list[str]:
    """The addresses of all pages."""
    return sorted({*routes("feeds", rows), *routes("notifications", rows), "/nothing-here"})


def vary(response: Any) -> set[str]:
    return {name.strip() for name in response.headers.get("Vary", "").split(",")}


def test_nothing_keeps_what_a_person_who_is_signed_in_reads(alice: Window, rows: dict[str, object]) -> None:
    program = Program(alice.user)
    answers = {page: alice.get(page) for page in pages(rows)}
    answers |= {f"token {path}": program.get(path) for path in api_routes(rows)}
    answers |= {f"session {path}": alice.get(f"/api{path}") for path in api_routes(rows)}
    assert len(answers) > 45
    kept = {name: answer.headers["Cache-Control"] for name, answer in answers.items()}
    assert {name: rule for name, rule in kept.items() if rule != PERSONAL and "no-store" not in rule} == {}
    assert [name for name, answer in answers.items() if "Cookie" not in vary(answer)] == []
    assert [name for name, answer in answers.items() if " " in name and "Authorization" not in vary(answer)] == []


def test_nothing_keeps_a_page_with_a_new_secret_or_an_answer_that_signs_in(alice: Window) -> None:
    shown = alice.post("/settings/tokens", {"token-name": "script", "token-scopes": "read", "token-expires": "30"})
    assert "airy_" in shown.content.decode()
    made = Program(alice.user).post("/tokens", {"name": "script"})
    stranger = Program()
    signed_in = stranger.post("/register", {"username": "bo", "password": secrets.token_hex()})
    for answer in (shown, made, signed_in):
        assert answer.headers["Cache-Control"] == PERSONAL
        assert "Content-Encoding" not in answer.headers


def test_what_a_stranger_reads_is_asked_for_again_and_a_page_is_kept_by_their_browser_alone(
    rows: dict[str, object],
) -> None:
    for page in ("/", f"/posts/{rows['post_id']}", "/circles", "/login", "/nothing-here"):
        answer = Client().get(page)
        assert answer.headers["Cache-Control"] in (
            "private, no-cache",
            "max-age=0, no-cache, no-store, must-revalidate, private",
        )
        assert {"Cookie", "Accept-Language"} <= vary(answer)
    answer = Client().get("/api/posts")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert {"Cookie", "Authorization", "Accept-Language"} <= vary(answer)


def test_a_refused_token_and_a_session_that_ended_count_as_personal(alice: Window) -> None:
    assert Program(token="nonsense").get("/me").headers["Cache-Control"] == PERSONAL
    alice.cookies["sessionid"] = "nonsense"
    assert alice.get("/").headers["Cache-Control"] == PERSONAL


def test_head_is_answered_wherever_get_is_and_with_the_same_headers(alice: Window, rows: dict[str, object]) -> None:
    program = Program(alice.user)
    for path in api_routes(rows):
        assert_alike(program.get(path), program.send("HEAD", path), path)
    for page in [*pages(rows), "/healthz", "/readyz", "/metrics", "/api/docs", "/api/openapi.json", "/admin/login/"]:
        assert_alike(alice.get(page), alice.head(page), page)


def assert_alike(got: Any, headed: Any, path: str) -> None:
    assert headed.status_code == got.status_code, path
    assert headed.content == b"", path
    assert headed.headers.get("Content-Type") == got.headers.get("Content-Type"), path
    assert headed.headers.keys() == got.headers.keys(), path


def test_the_length_after_head_is_that_of_the_body_of_get() -> None:
    post = PostFactory()
    path = f"/api/posts/{post.pk}"
    assert Client().head(path).headers["Content-Length"] == str(len(Client().get(path).content))


def test_head_is_refused_where_get_is_and_named_where_it_is_allowed() -> None:
    program = Program(UserFactory())
    assert program.send("HEAD", "/logout").status_code == 405
    refused = program.send("PUT", "/posts")
    assert refused.status_code == 405
    assert {"GET", "HEAD", "POST"} <= set(refused.headers["Allow"].split(", "))
    assert "HEAD" not in program.get("/logout").headers["Allow"]


def test_head_changes_nothing_and_is_limited_as_get_is(settings: Any) -> None:
    program = Program(UserFactory())
    settings.RATE_LIMITS = True
    for path in ("/register", "/login"):
        assert program.send("HEAD", path).status_code == 405
    assert User.objects.count() == 1
    settings.LIMIT_READ = ((2, 3600),)
    reader = Program(UserFactory())
    assert [reader.send("HEAD", "/posts").status_code for _ in range(4)] == [200, 200, 429, 429]


@pytest.mark.parametrize("address", ["/", "/api/posts", "/nothing-here", "/admin/login/"])
def test_every_answer_says_what_pages_may_not_do(address: str) -> None:
    headers = Client().get(address).headers
    assert "camera=()" in headers["Permissions-Policy"]
    assert "microphone=()" in headers["Permissions-Policy"]
    assert "default-src 'self'" in headers["Content-Security-Policy"]


@pytest.fixture
def long_post() -> str:
    return f"/posts/{PostFactory(body='A word and another. ' * 500).pk}"


def test_pages_and_answers_of_the_api_are_compressed_for_who_understands_it(long_post: str) -> None:
    for address in (long_post, f"/api{long_post}"):
        plain = Client().get(address)
        small = Client().get(address, headers={"Accept-Encoding": "br, gzip;q=0.5"})
        assert small.headers["Content-Encoding"] == "gzip"
        assert small.headers["Content-Length"] == str(len(small.content))
        assert len(small.content) < len(plain.content) / 2
        assert "Accept-Encoding" in vary(small)
        assert "Accept-Encoding" in vary(plain)
        assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(small.content) == plain.content


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip; q=0.0, br", "gzipped"])
def test_who_does_not_understand_gzip_gets_none(long_post: str, accepted: str) -> None:
    answer = Client().get(long_post, headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers


def test_short_answers_are_not_compressed() -> None:
    answer = Client().get("/healthz", headers={"Accept-Encoding": "gzip"})
    assert len(answer.content) < SMALLEST
    assert "Content-Encoding" not in answer.headers


def test_the_length_of_a_compressed_page_does_not_tell_what_is_in_it() -> None:
    lengths = {len(compressed(b"a page" * 1_000)) for _ in range(300)}
    assert max(lengths) - min(lengths) > PADDING / 2
    assert len(lengths) > PADDING / 2
