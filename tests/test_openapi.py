"""The OpenAPI document: it says how long a text may be, from the same numbers that the actions check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airy.api import api
from airy.rules import RULES, rule_of
from feeds.models import ApiToken, Circle, Comment, Post
from feeds.text.usernames import MAX_USERNAME_LENGTH
from tests.support.api_client import Program
from tests.support.browsers import window
from tests.support.factories import CircleFactory, PostFactory, UserFactory

LENGTHS = {
    ("PostIn", "title"): Post.TITLE_LENGTH,
    ("PostPatch", "title"): Post.TITLE_LENGTH,
    ("PostIn", "body"): Post.BODY_LENGTH,
    ("PostPatch", "body"): Post.BODY_LENGTH,
    ("CommentIn", "content"): Comment.CONTENT_LENGTH,
    ("CommentPatch", "content"): Comment.CONTENT_LENGTH,
    ("CircleIn", "name"): Circle.NAME_LENGTH,
    ("CircleIn", "slug"): Circle.SLUG_LENGTH,
    ("CircleIn", "description"): Circle.DESCRIPTION_LENGTH,
    ("Registration", "username"): MAX_USERNAME_LENGTH,
    ("AccountPatch", "username"): MAX_USERNAME_LENGTH,
    ("TokenIn", "name"): ApiToken.NAME_LENGTH,
    ("Registration", "password"): 1_000,
    ("Registration", "email"): 254,
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return dict(api.get_openapi_schema())


def test_it_says_how_long_a_text_may_be(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    said = {(schema, field): schemas[schema]["properties"][field]["maxLength"] for schema, field in LENGTHS}
    assert said == LENGTHS


def test_it_says_what_may_not_be_empty_and_names_no_default_that_would_be_refused(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            assert not (field.get("minLength") and field.get("default") == ""), name
    assert document["components"]["schemas"]["PostIn"]["properties"]["title"]["minLength"] == 1


def test_it_says_how_large_a_number_may_be(document: dict[str, Any]) -> None:
    upto = document["components"]["schemas"]["ReadIn"]["properties"]["upto"]
    assert (upto["minimum"], upto["exclusiveMaximum"]) == (0, 2**63)
    parameters = document["paths"]["/api/notifications"]["get"]["parameters"]
    after_seq = next(one["schema"] for one in parameters if one["name"] == "after_seq")
    assert (after_seq["minimum"], after_seq["exclusiveMaximum"]) == (0, 2**63)


def test_everything_that_is_sent_has_bounds(document: dict[str, Any]) -> None:
    assert [where for where, kind in sent(document) if not is_bounded(kind)] == []


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "string"},
        {"type": "string", "pattern": "^[a-z]+$"},
        {"type": "integer", "minimum": 0},
        {"type": "number", "maximum": 1},
        {"type": "array", "items": {"type": "boolean"}},
        {"type": "object", "additionalProperties": {"type": "boolean"}},
        {},
    ],
    ids=str,
)
def test_what_has_no_bounds_is_found(kind: dict[str, Any]) -> None:
    body = {"content": {"application/json": {"schema": {"anyOf": [{"$ref": "#/components/schemas/New"}]}}}}
    schema = {"type": "object", "properties": {"new": {"items": kind, "maxItems": 1, "type": "array"}}}
    document = {"paths": {"/": {"post": {"requestBody": body}}}, "components": {"schemas": {"New": schema}}}
    assert [where for where, one in sent(document) if not is_bounded(one)][:1] == ["POST /: new[]"]


def test_every_operation_lists_what_it_refuses_with(document: dict[str, Any]) -> None:
    def listed(method: str, path: str) -> set[int]:
        return {status for status in document["paths"][path][method]["responses"] if status >= 400}

    assert listed("get", "/api/me") == {401, 403, 429}
    assert listed("get", "/api/posts/{post_id}") == {401, 403, 404, 429}
    assert listed("delete", "/api/posts/{post_id}/vote") == {401, 403, 404, 408, 413, 429}
    assert listed("post", "/api/logout") == {400, 401, 403, 408, 413, 429}
    assert listed("post", "/api/posts") == {400, 401, 403, 408, 413, 422, 429}
    assert listed("post", "/api/register") == {400, 403, 408, 409, 413, 422, 429}
    assert listed("put", "/api/me/factor") == {400, 401, 403, 404, 408, 409, 413, 422, 429}


def test_visitors_may_ask_where_the_document_says_so(document: dict[str, Any]) -> None:
    assert {} in document["paths"]["/api/posts"]["get"]["security"]
    assert {} in document["paths"]["/api/login"]["post"]["security"]
    assert {} not in document["paths"]["/api/posts"]["post"]["security"]


def test_every_rule_is_one_of_some_operation(document: dict[str, Any]) -> None:
    named = {name for path in document["paths"].values() for one in path.values() for name in one["x-rules"]}
    assert named == set(RULES)


def sent(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of what a client sends, with its place: of the parameters and bodies, with all that is in them."""

    def within(where: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        inner = [one for key in ("anyOf", "allOf") for one in schema.get(key, []) if "type" in one or "$ref" in one]
        for one in inner:
            yield from within(where, one)
        if not inner:
            yield where, schema
        for name, field in schema.get("properties", {}).items():
            yield from within(f"{where}{name}", field)
        if "items" in schema:
            yield from within(f"{where}[]", schema["items"])

    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            place = f"{method.upper()} {path}: "
            for one in operation.get("parameters", []):
                yield from within(f"{place}{one['name']}", one["schema"])
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield from within(place, content["schema"])


def is_bounded(schema: dict[str, Any]) -> bool:
    """Whether what a schema allows has a greatest length or size."""
    if {"enum", "const"} & schema.keys():
        return True
    match schema.get("type"):
        case "string":
            return "maxLength" in schema or schema.get("format") == "date-time"
        case "integer" | "number":
            least, most = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}
            return bool(least & schema.keys() and most & schema.keys())
        case "array":
            return "maxItems" in schema
        case "object":
            return schema.get("additionalProperties", False) is False
        case kind:
            return kind in ("boolean", "null")


def test_the_description_lists_every_rule_that_a_schema_cannot_say(document: dict[str, Any]) -> None:
    for name, rule in RULES.items():
        assert f"- {rule.status}, {name}: {rule.meaning}" in document["info"]["description"]


@pytest.mark.django_db
def test_refusals_of_what_the_schema_allows_name_their_rule() -> None:
    person = UserFactory()
    program, post = Program(person), PostFactory(author=person)
    CircleFactory(slug="cats")
    tries = {
        "text that shows nothing": program.post("/posts", {"title": "\u200b"}),
        "characters that are none": program.post("/posts", {"title": "a\0b"}),
        "taken": program.post("/circles", {"name": "Cats", "slug": "cats"}),
        "slug": program.post("/circles", {"name": "Cats", "slug": "a b"}),
        "another's circle": program.post("/posts", {"title": "a", "circle": "nowhere"}),
        "parent": program.post(f"/posts/{post.pk}/comments", {"content": "a", "parent_id": 2**63 - 1}),
        "published stays published": program.patch(f"/posts/{post.pk}", {"status": "draft"}),
        "cursor": program.get("/posts", cursor="nonsense"),
        "expiry": Program(client=window(person)).post("/tokens", {"name": "a", "expires": "2001-01-01T00:00:00Z"}),
        "username": Program().post("/register", {"username": "b\u043e", "password": "correct horse 1"}),
        "password": Program().post("/register", {"username": "bo", "password": "password"}),
        "e-mail": Program().post("/register", {"username": "bo", "password": "correct horse 1", "email": "a@b"}),
    }
    assert {name: rule_of(answer.status_code, answer.json()["detail"]) for name, answer in tries.items()} == {
        name: name for name in tries
    }


@pytest.mark.django_db
def test_a_whole_number_may_be_written_with_a_point() -> None:
    program = Program(UserFactory())
    assert program.post("/notifications/read", {"upto": 3.0}).status_code == 200
    assert program.post("/notifications/read", {"upto": 3.5}).status_code == 422
    assert program.post("/notifications/read", b'{"upto": 1e400}').status_code == 422
