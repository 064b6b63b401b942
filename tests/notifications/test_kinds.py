"""The registry of kinds: what a declaration needs, and how a wrong one fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypedDict

import pytest
from django.conf import settings
from django.utils import translation
from django.utils.functional import lazystr

from notifications import checks, kinds
from notifications.models import Notification
from notifications.notices import wording
from notifications.notices.kind import FIELDS, KINDS, Kind, KindError


class Person(TypedDict):
    actors: list[int]
    names: list[str]
    count: int


class Post(Person):
    post_id: int
    title: str


class Content(Post, total=False):
    comment_id: int


class Unknown(Person):
    colour: str


def person(row: Any) -> Person:
    return {"actors": [1], "names": ["bob"], "count": 1}


def post(row: Any) -> Post:
    return {**person(row), "post_id": 7, "title": "T"}


def content(row: Any) -> Content:
    return {**post(row), "comment_id": 8}


def unknown(row: Any) -> Unknown:
    return {**person(row), "colour": "red"}


@pytest.fixture(autouse=True)
def _declared_kinds() -> Iterator[None]:
    """What a test declares is gone after it."""
    before = dict(KINDS)
    yield
    KINDS.clear()
    KINDS.update(before)


def declare(**changes: Any) -> Kind[Any, ...]:
    """A kind about people that is right, but for the changes."""
    options: dict[str, Any] = {
        "name": "waved",
        "to": lambda row: [1, 2, 3],
        "key": lambda row: f"wave/{row}",
        "data": person,
        "withdrawn_with_content": False,
        "text": lazystr("%(who)s waved"),
        "link": lambda data: f"/users/{data['names'][0]}",
        "actor": lambda row: 2,
    }
    return Kind(**{name: value for name, value in (options | changes).items() if value is not ...})


def test_one_declaration_makes_a_notice_with_its_text_and_link() -> None:
    waved = declare()
    notices = list(waved.notices(5))
    assert [(notice.user_id, notice.kind, notice.key) for notice in notices] == [
        (1, "waved", "wave/5"),
        (3, "waved", "wave/5"),
    ]
    assert notices[0].data == {"actors": [1], "names": ["bob"], "count": 1}
    assert wording.text("waved", notices[0].data) == "bob waved"
    assert wording.link("waved", notices[0].data) == "/users/bob"


def test_the_kinds_are_those_that_the_api_promises() -> None:
    assert set(KINDS) == {"welcome", "post", "comment", "reply", "mention", "vote", "follow", "circle"}


def test_the_data_of_every_kind_is_as_clients_know_it() -> None:
    people = {"actors", "names", "count"}
    content = people | {"post_id", "comment_id", "title"}
    assert {kind.name: set(kind.fields) for kind in KINDS.values()} == {
        "welcome": set(),
        "post": content,
        "comment": content,
        "reply": content,
        "mention": content,
        "vote": content,
        "follow": people,
        "circle": people | {"circle", "title"},
    }


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_has_a_text_of_its_own_in_every_language(kind: Kind[Any, ...]) -> None:
    data = {name: FIELDS[name] for name in kind.fields}
    said = set()
    for language, _ in settings.LANGUAGES:
        with translation.override(language):
            said.add(wording.text(kind.name, data))
    assert len(said) == len(settings.LANGUAGES)


@pytest.mark.parametrize("name", ["name", "to", "key", "data", "withdrawn_with_content", "text", "link"])
def test_a_missing_parameter_is_named_with_the_way_to_give_it(name: str) -> None:
    with pytest.raises(KindError, match=f"has no {name}: give {name}="):
        declare(**{name: ...})


@pytest.mark.parametrize(
    ("changes", "cure"),
    [
        ({"name": "w" * 21}, "20 characters; give it a shorter name"),
        ({"name": "follow"}, "already declared; give one of the two another name"),
        ({"text": ""}, "has no text"),
        ({"data": lambda row: {}}, "annotate what data= returns with a TypedDict"),
        ({"data": unknown}, r"the field colour is unknown; known are post_id, .* Add a new field to FIELDS"),
        ({"data": post, "withdrawn_with_content": True}, "its data needs post_id and comment_id"),
        ({"withdrawn_with_content": True}, "its data needs post_id and comment_id"),
        ({"data": content}, r"comment_id, post_id is withdrawn .* say withdrawn_with_content=True"),
        ({"text_on_comment": "%(who)s waved at your comment"}, "text_on_comment needs comment_id in the data"),
        ({"data": kinds.no_data, "link": lambda data: "/", "grows": True}, "its data needs actors, names and count"),
        ({"link": lambda data: f"/posts/{data['post_id']}"}, "link reads 'post_id', which its data need not have"),
        ({"link": lambda data: "posts/1"}, "link must return a path such as /posts/1"),
        ({"key": kinds.content_key}, r"share a key and the rank 0: give one of the two a higher rank"),
    ],
)
def test_a_wrong_declaration_fails_with_the_cure(changes: dict[str, Any], cure: str) -> None:
    with pytest.raises(KindError, match=cure):
        declare(**changes)
    assert "waved" not in KINDS


def test_a_link_must_do_without_the_optional_comment() -> None:
    with pytest.raises(KindError, match="link reads 'comment_id', which its data need not have"):
        declare(data=content, withdrawn_with_content=True, link=lambda data: f"/comments/{data['comment_id']}")


def test_a_name_as_long_as_the_column_is_taken() -> None:
    longest = Notification._meta.get_field("kind").max_length
    assert declare(name="w" * longest).name in KINDS


def test_data_that_is_not_as_declared_is_refused() -> None:
    def forgetful(row: Any) -> Person:
        return {"actors": [1], "names": ["bob"]}  # type: ignore[typeddict-item]

    with pytest.raises(KindError, match=r"the data has .* declared are .*count"):
        list(declare(data=forgetful).notices(5))


def test_a_kind_of_higher_rank_replaces_one_that_shares_its_key() -> None:
    assert kinds.REPLY.outranks(kinds.COMMENT)
    assert not kinds.POST.outranks(kinds.POST)
    assert kinds.POST.outranks(None)


def test_texts_that_the_data_can_fill_pass_the_check() -> None:
    assert checks.check_kinds() == []


@pytest.mark.parametrize(
    ("changes", "id"),
    [
        ({"text": lazystr(" ")}, "notifications.E001"),
        ({"text": "%(who)s waved in “%(title)s”"}, "notifications.E002"),
        ({"data": kinds.no_data, "link": lambda data: "/"}, "notifications.E002"),
    ],
)
def test_a_text_that_is_empty_or_that_the_data_cannot_fill_fails_the_check(changes: dict[str, Any], id: str) -> None:
    declare(**changes)
    found = checks.check_kinds()
    assert {error.id for error in found} == {id}
    assert len(found) == len(settings.LANGUAGES)
    assert "'waved'" in found[0].msg
