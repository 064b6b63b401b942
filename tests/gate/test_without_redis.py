"""Redis gone or silent: pages, API, admin and sign-ins go on, and nothing is an error of ours."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from tests.support.api_client import PASSWORD, Program, signed_up
from tests.support.browsers import Window, window
from tests.support.factories import PostFactory
from tests.support.limits import Limited
from tests.support.servers.redis import running_redis

pytestmark = [pytest.mark.django_db, pytest.mark.redis]


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_everything_goes_on_without_redis(limited: Limited, settings: Settings, tmp_path: Path, fault: str) -> None:
    limited(TRIES_BY_ACCOUNT="5/3600")
    alice, post = signed_up("alice", is_staff=True, is_superuser=True), PostFactory()
    with running_redis(tmp_path) as redis:
        settings.REDIS_URL = redis.url
        browser, program, stranger = window(alice), Program(alice), Window()
        assert stranger.get("/").status_code == 200
        getattr(redis, fault)()
        begun = time.monotonic()
        answers = [
            stranger.get("/"),
            stranger.get(f"/posts/{post.pk}"),
            stranger.get("/search?q=a"),
            stranger.get("/api/posts"),
            stranger.post("/login", {"username": "alice", "password": PASSWORD}),
            Window().post("/login", {"username": "alice", "password": "wrong"}),
            Program().post("/login", {"username": "alice", "password": PASSWORD}),
            Program().post("/register", {"username": "bob", "password": PASSWORD}),
            browser.get("/"),
            browser.get("/settings"),
            browser.get("/notifications"),
            browser.get("/admin/"),
            browser.post("/posts/new", {"title": "News", "body": "All is well"}),
            browser.post(f"/posts/{post.pk}/vote", {"vote_type": "up"}),
            program.get("/me"),
            program.put(f"/posts/{post.pk}/vote", {"vote_type": "down"}),
            browser.post("/logout"),
            Client().get("/readyz"),
            Client().get("/healthz"),
            Client().get("/metrics"),
        ]
        assert [answer.status_code for answer in answers] == [
            200, 200, 200, 200, 302, 200, 200, 201, 200, 200, 200, 200, 302, 302, 200, 200, 302, 200, 200, 200
        ]  # fmt: skip
        assert time.monotonic() - begun < 15
        guesses = [
            Window(REMOTE_ADDR=f"192.0.2.{number}").post("/login", {"username": "carol", "password": "wrong"})
            for number in range(7)
        ]
        assert [guess.status_code for guess in guesses] == [200] * 5 + [429] * 2
