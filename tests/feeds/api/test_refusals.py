"""The API: it answers any input with JSON and a reason, never with a traceback."""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import HttpRequest
from django.test import AsyncClient, Client
from django.utils.translation import override
from ninja.errors import HttpError
from pytest_django import Settings

from airy import refusals
from airy.api import api
from feeds.models import Post
from tests.support.api_client import Program, says
from tests.support.factories import CircleFactory, CommentFactory, PostFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.home]

VALUES = [
    None, True, 0, -1, 1.5, 2**63, 2**70, float("inf"), float("nan"), "", " ", "\0", "\ud800", "🙂" * 1_000,
    "x" * 100_000, "\u202e\ufeff", "'; DROP TABLE feeds_post; --", "%00%s{0}", [], {}, [[[]]], {"a": {"b": [None]}},
]  # fmt: skip
SEGMENTS = [
    "0", "-1", "x", "null", "%00", "%F0%9F%99%82", "%ed%a0%80", "%ff", "%25s", "x" * 3_000, "9" * 25,
    "..%2f..%2fetc", "%E2%80%AE", "a%20b", "'",
]  # fmt: skip
BODIES = [
    b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"title": "\xff"}', b'{"a":' * 50_000, b"9" * 5_000, b"null", b'"text"',
    b"title=x", b"\0", b'{"title": "a", "title": "b"}', b'{"\\ud800": 1}', b'{"\\u0000": 1}',
    json.dumps("x" * 500_000).encode(),
]  # fmt: skip


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every route in the OpenAPI description."""
    for path, methods in api.get_openapi_schema(path_prefix="/")["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


@pytest.fixture
def program() -> Program:
    return Program(UserFactory())


@pytest.fixture
def known(program: Program) -> dict[str, object]:
    """Values of a route's parameters that exist, rows of the program's user or of another."""
    comment = CommentFactory(author=program.user, post=PostFactory(author=program.user))
    return {
        "post_id": comment.post_id,
        "comment_id": comment.pk,
        "username": UserFactory().username,
        "slug": CircleFactory().slug,
        "token_id": 0,
    }


def test_an_unknown_address_and_a_wrong_method_are_answered_in_json() -> None:
    says(Program().get("/nothing"), 404)
    says(Program().get("/posts/"), 404)
    says(Program().get("/"), 404)
    wrong = Program().put("/posts", {})
    says(wrong, 405)
    assert set(wrong.headers["Allow"].replace(" ", "").split(",")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("body", [b"{", b"\xff", b"title=x", b"[" * 100_000, b"9" * 5_000])
def test_a_body_that_is_not_json_is_refused(program: Program, body: bytes) -> None:
    says(program.post("/posts", body), 400, "JSON")


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"text"', b"7"])
def test_a_body_that_is_no_object_is_refused(program: Program, body: bytes) -> None:
    says(program.post("/posts", body), 422, "JSON object")


def test_a_body_that_is_too_large_is_refused(program: Program) -> None:
    body = json.dumps({"title": "x", "body": "x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE})
    says(program.post("/posts", body.encode()), 413, "too large")
    says(Program().post("/login", body.encode()), 413, "too large")


def test_the_longest_post_is_taken_however_its_characters_are_written(program: Program) -> None:
    longest = {"title": "題" * Post.TITLE_LENGTH, "body": "🙂" * Post.BODY_LENGTH}
    assert program.post("/posts", longest).status_code == 201


def test_all_that_is_wrong_is_told_at_once(program: Program) -> None:
    response = program.post("/posts", {"titel": "x", "body": 1, "status": "open"})
    says(response, 422, "title", "titel", "body", "status")
    assert set(response.json()["fields"]) == {"title", "titel", "body", "status"}


def test_refusals_are_worded_in_the_language_of_the_reader() -> None:
    reader = Program(headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"})
    response = reader.post("/register", {"username": "小明", "password": "1234"})
    says(response, 422, "密码")
    assert response.headers["Content-Language"] == "zh-hans"


CHINESE = re.compile(r"[\u4e00-\u9fff]")
ENGLISH = re.compile(r"[a-z]{2,} [a-z]{2,}")


def test_a_number_out_of_its_bounds_is_refused_in_the_language_of_the_reader(program: Program) -> None:
    says(program.get("/notifications", after_seq=-1), 422, "after_seq: This must be at least 0.")
    says(program.get("/notifications", after_seq=2**63), 422, "after_seq: This must be less than")
    program.client.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh"
    says(program.get("/notifications", after_seq=-1), 422, "after_seq: 此项不能小于 0。")
    says(program.get("/posts", sort="best"), 422, "'hot', 'new', 'top' 或 'controversial'")


@pytest.mark.parametrize(
    "about",
    [
        {"type": "greater_than", "ctx": {"gt": 0}},
        {"type": "less_than_equal", "ctx": {"le": 0}},
        {"type": "string_too_short", "ctx": {"min_length": 2}},
        {"type": "float_parsing"},
        {"type": "list_type"},
        {"type": "dict_type"},
        {"type": "uuid_parsing"},
    ],
    ids=lambda about: about["type"],
)
def test_no_refused_value_is_told_of_in_english_to_who_reads_chinese(about: dict[str, Any]) -> None:
    problem = {"msg": "Input should be something else"} | about
    with override("en"):
        assert not CHINESE.search(refusals._field_message(problem))
    with override("zh-hans"):
        words = refusals._field_message(problem)
    assert CHINESE.search(words)
    assert not ENGLISH.search(words)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 414, 415, 422, 429, 500, 502, 503])
def test_every_status_is_worded_in_the_language_of_the_reader(status: int) -> None:
    with override("en"):
        assert not CHINESE.search(refusals.phrase(status))
    with override("zh-hans"):
        assert CHINESE.search(refusals.phrase(status))
        answer = refusals._http_error(HttpRequest(), HttpError(status, HTTPStatus(status).phrase))
    assert CHINESE.search(json.loads(answer.content)["detail"])


@pytest.mark.parametrize("debug", [True, False])
def test_a_crash_is_answered_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    def crash(*args: object, **options: object) -> None:
        raise RuntimeError("a secret")

    settings.DEBUG = debug
    monkeypatch.setattr("feeds.api.posts.list_posts", crash)
    response = Client(raise_request_exception=False).get("/api/posts")
    says(response, 500, "went wrong")
    assert b"secret" not in response.content
    assert "a secret" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_server_is_answered_alike(async_client: AsyncClient) -> None:
    PostFactory(title="Hello")
    says(async_to_sync(async_client.get)("/api/nothing"), 404)
    assert async_to_sync(async_client.get)("/api/posts?sort=new").json()["items"][0]["title"] == "Hello"


def test_no_route_breaks_whatever_its_address(program: Program) -> None:
    for method, path, _ in operations():
        # A path without a parameter is one and the same for all segments.
        for address in {re.sub(r"{\w+}", segment, path) for segment in SEGMENTS}:
            _holds(program, method, address, b"{}")
        for segment in SEGMENTS:
            query = f"?cursor={segment}&q={segment}&circle={segment}&after_seq={segment}"
            _holds(program, method, re.sub(r"{\w+}", segment, path) + query, b"{}")


def test_no_route_breaks_whatever_its_body(program: Program, known: dict[str, object]) -> None:
    for method, path, operation in operations():
        if "requestBody" in operation:
            for body in (*BODIES, *_bodies(operation)):
                _holds(program, method, path.format(**known), body)


def test_the_description_of_the_api_and_its_page_are_served_from_here() -> None:
    schema = Client().get("/api/openapi.json").json()
    assert {"401", "404", "429"} < set(schema["paths"]["/api/posts/{post_id}/vote"]["put"]["responses"])
    assert set(schema["components"]["schemas"]["Problem"]["properties"]) == {"detail", "fields"}
    page = Client().get("/api/docs")
    assert page.status_code == 200
    assert b"https://" not in page.content


def _holds(program: Program, method: str, path: str, body: bytes) -> None:
    response = program.send(method, path, body)
    assert response.status_code < 500, (method, path[:200], body[:200])
    if response.status_code >= 400:
        assert isinstance(response.json()["detail"], str), (method, path[:200], body[:200])
    assert response.status_code != 401 or path.startswith("/login")


def _bodies(operation: dict[str, Any]) -> Iterator[bytes]:
    """Bodies of a route, each with one wrong field and valid others."""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    name = (schema.get("$ref") or schema["allOf"][0]["$ref"]).rpartition("/")[2]
    properties = api.get_openapi_schema(path_prefix="/")["components"]["schemas"][name]["properties"]
    good = {field: about.get("enum", ["password horse 1"])[0] for field, about in properties.items()}
    for field in properties:
        for value in VALUES:
            yield json.dumps(good | {field: value}).encode()
