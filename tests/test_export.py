"""The archive of a person: everything that is stored of them, at one moment, and nothing of others' secrets."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from airy.export import LEFT_OUT, SECTIONS, Archive
from events.testing import deliver
from feeds import actions
from feeds.export.archive import write_archive
from feeds.export.download import Download
from feeds.export.pieces import PIECE
from feeds.export.section import Section
from feeds.models import ApiToken, Comment, Post, SecondFactor, User, UserSession
from tests.support.api_client import Program, browser, says, signed_up
from tests.support.browsers import Window, window
from tests.support.factories import (
    BlockFactory,
    CircleFactory,
    CommentFactory,
    FollowFactory,
    MembershipFactory,
    MuteFactory,
    PostFactory,
    UserFactory,
    VoteFactory,
)
from tests.support.limits import Limited

pytestmark = pytest.mark.django_db


def archive_of(user: User) -> dict[str, Any]:
    """What the person gets, checked against the documented form."""
    answer = browser(user).get("/me/export")
    assert answer.status_code == 200
    text = answer.getvalue()
    Archive.model_validate_json(text, strict=False)
    return dict(json.loads(text))


def fill(user: User) -> None:
    """One row in each section, and some of other people."""
    post = PostFactory(author=user, title="Mine", circle=CircleFactory(slug="tea"))
    PostFactory(author=user, title="Draft", status="draft")
    PostFactory(author=user, title="Gone").delete()
    PostFactory(author=user, title="Removed").remove(by=UserFactory(), reason="Off topic")
    PostFactory(title="Of another")
    CommentFactory(author=user, post=post, content="My word")
    CommentFactory(post=post, content="The word of another")
    VoteFactory(user=user, post=post)
    FollowFactory(follower=user, followee=UserFactory(username="followed"))
    FollowFactory(follower=UserFactory(username="follower"), followee=user)
    CircleFactory(slug="own", owner=user)
    MembershipFactory(user=user, circle=CircleFactory(slug="joined"))
    BlockFactory(user=user, target=UserFactory(username="blocked"))
    MuteFactory(user=user, target=UserFactory(username="muted"))
    BlockFactory(user=UserFactory(username="blocker"), target=user)
    MuteFactory(user=UserFactory(username="muter"), target=user)
    actions.create_token(user, name="script", scopes=["read"])
    SecondFactor.objects.create(user=user, sealed_secret="sealed").recovery_codes.create(digest="digest")
    deliver()


def test_every_relation_to_a_person_is_in_the_archive_or_left_out_with_a_reason() -> None:
    relations = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.get_fields()
        if field.concrete and field.is_relation and field.related_model is User
        if not model._meta.label.startswith("tests.")
    }
    told = [relation for section in SECTIONS for relation in section.relations]
    assert len(told) == len(set(told))
    assert not set(told) & set(LEFT_OUT)
    assert {*told, *LEFT_OUT} == relations, (
        "a section, or LEFT_OUT with the reason, in feeds/export or notifications/export"
    )
    assert all(LEFT_OUT.values())


def test_the_archive_has_everything_of_the_person() -> None:
    alice = signed_up("alice", email="alice@example.org")
    fill(alice)
    archive = archive_of(alice)
    assert (archive["format"], archive["version"]) == ("airy-archive", 1)
    assert (archive["account"]["username"], archive["account"]["email"]) == ("alice", "alice@example.org")
    assert [(post["title"], post["circle"], post["status"]) for post in archive["posts"]] == [
        ("Mine", "tea", "published"),
        ("Draft", None, "draft"),
        ("", None, "published"),
        ("Removed", None, "published"),
    ]
    assert archive["posts"][-1]["removal_reason"] == "Off topic"
    assert [comment["content"] for comment in archive["comments"]] == ["My word"]
    assert [(vote["entity_type"], vote["vote_type"]) for vote in archive["votes"]] == [("post", "up")]
    for section, name in (
        ("following", "followed"),
        ("followers", "follower"),
        ("blocks", "blocked"),
        ("mutes", "muted"),
    ):
        assert [person["username"] for person in archive[section]] == [name]
    assert [circle["slug"] for circle in archive["circles"]] == ["own"]
    assert {membership["circle"] for membership in archive["memberships"]} >= {"joined"}
    assert [(token["name"], token["scopes"]) for token in archive["tokens"]] == [("script", ["read"])]
    assert len(archive["sessions"]) == 1
    assert [factor["recovery_codes"] for factor in archive["second_factor"]] == [1]
    assert {notice["kind"] for notice in archive["notifications"]} >= {"welcome", "comment", "follow"}
    assert all(notice["text"] for notice in archive["notifications"])


def test_the_archive_has_no_secrets_and_nothing_of_others() -> None:
    alice = signed_up("alice")
    fill(alice)
    archive = json.dumps(archive_of(alice))
    alice.refresh_from_db()
    token, session = ApiToken.objects.get(), UserSession.objects.get()
    secrets = (alice.password, alice.password_mark, token.digest, session.session_key)
    for secret in (*secrets, "sealed", "digest", "blocker", "muter", "Of another", "The word of another"):
        assert secret not in archive


def test_a_person_without_anything_gets_an_archive() -> None:
    archive = archive_of(UserFactory())
    assert {name: archive[name] for name in ("posts", "comments", "blocks")} == {
        "posts": [],
        "comments": [],
        "blocks": [],
    }


def test_the_archive_is_a_download_that_nobody_keeps() -> None:
    answer = browser(UserFactory(username="小明")).get("/me/export")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Content-Type"] == "application/json"
    assert "no-store" in answer.headers["Cache-Control"]


def test_the_settings_page_links_to_the_archive() -> None:
    alice = window()
    assert 'href="/settings/export"' in alice.read("/settings")
    assert json.loads(alice.get("/settings/export").getvalue())["account"]["username"] == alice.user.username
    assert Window().get("/settings/export").headers["Location"] == "/login?next=/settings/export"


def test_an_archive_needs_a_session() -> None:
    says(Program(UserFactory()).get("/me/export"), 403, "token")
    says(Program().get("/me/export"), 401)
    banned = browser(UserFactory())
    User.objects.filter(pk=banned.user.pk).update(is_active=False)
    says(banned.get("/me/export"), 403, "deactivated")


def test_archives_are_limited_for_a_person_on_page_and_api_together(limited: Limited) -> None:
    limited(EXPORTS="2/3600")
    user = UserFactory()
    assert browser(user).get("/me/export").status_code == 200
    assert window(user).get("/settings/export").status_code == 200
    says(browser(user).get("/me/export"), 429)
    assert window(user).get("/settings/export").status_code == 429
    assert browser(UserFactory()).get("/me/export").status_code == 200


def queries_of(user: User) -> int:
    with CaptureQueriesContext(connection) as queries:
        write_archive(user, SECTIONS).close()
    return len(queries)


def test_an_archive_asks_as_much_for_many_rows_as_for_few() -> None:
    user = UserFactory()
    fill_some(user)
    few = queries_of(user)
    for _ in range(3):
        fill_some(user)
    assert queries_of(user) == few


def fill_some(user: User) -> None:
    post = PostFactory(author=user, circle=CircleFactory(owner=user))
    CommentFactory(author=user, post=post)
    CommentFactory(post=post)
    FollowFactory(follower=user)
    FollowFactory(followee=user)
    VoteFactory(user=user, post=post)
    BlockFactory(user=user)
    deliver()


@pytest.mark.parametrize("number", [3_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_the_memory_of_an_archive_does_not_grow_with_its_rows(number: int) -> None:
    user, post = UserFactory(), PostFactory()
    rows = (Comment(author=user, post=post, content=f"{n} {'word ' * 800}") for n in range(number))
    Comment.objects.bulk_create(rows, batch_size=500)
    tracemalloc.start()
    try:
        with write_archive(user, SECTIONS) as file:
            _, most = tracemalloc.get_traced_memory()
            size = file.seek(0, 2)
    finally:
        tracemalloc.stop()
    assert size > number * 4_000
    assert most < 8_000_000


@pytest.mark.django_db(transaction=True)
def test_an_archive_shows_one_moment() -> None:
    """What another writes after the first section was read is in no later one."""
    user, post = UserFactory(), PostFactory()
    CommentFactory(author=user, post=post)

    def write_meanwhile() -> None:
        try:
            CommentFactory(author=user, post=post)
            User.objects.filter(pk=user.pk).update(email="new@example.org")
        finally:
            connections.close_all()

    def posts(user: User) -> Iterator[Post]:
        thread = threading.Thread(target=write_meanwhile)
        thread.start()
        thread.join()
        yield from user.posts.all()

    comments = next(section for section in SECTIONS if section.name == "comments")
    first = Section(name="posts", item=SECTIONS[0].item, rows=posts, relations=())
    with write_archive(user, [first, comments]) as file:
        assert len(json.load(file)["comments"]) == 1
    with write_archive(user, [comments]) as file:
        assert len(json.load(file)["comments"]) == 2


def test_a_server_of_asgi_gets_it_piece_by_piece() -> None:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the download closes it
    file.write(b"x" * (3 * PIECE + 1))
    file.seek(0)
    download = Download(file, name="archive.json", content_type="application/json")

    async def pieces() -> list[int]:
        return [len(piece) async for piece in download]

    assert asyncio.run(pieces()) == [PIECE, PIECE, PIECE, 1]
    download.close()
    assert file.closed


def test_a_client_that_leaves_early_leaves_no_open_file() -> None:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the download closes it
    Download(file, name="archive.json", content_type="application/json").close()
    assert file.closed


def test_the_form_of_the_archive_is_documented() -> None:
    schema = Client().get("/api/openapi.json").json()["components"]["schemas"]["Archive"]
    assert set(schema["properties"]) == {
        "format", "version", "exported_at", "account", *(section.name for section in SECTIONS)
    }  # fmt: skip
