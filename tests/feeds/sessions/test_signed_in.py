"""Whose sessions these are, read for many at once, as Django reads one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, get_user
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from feeds.models import User
from feeds.sessions.signed_in import Visitor, visitors
from feeds.sessions.store import SessionStore
from tests.support.factories import UserFactory

pytestmark = pytest.mark.django_db


def session_of(user: User) -> SessionStore:
    client = Client()
    client.force_login(user)
    return SessionStore(client.session.session_key)


def as_django_has_it(key: str) -> int | None:
    request = HttpRequest()
    request.session = SessionStore(key)
    return get_user(request).pk


def test_many_sessions_cost_two_statements(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    users = [UserFactory() for _ in range(5)]
    keys = [str(session_of(user).session_key) for user in users]
    with django_assert_num_queries(2):
        found = visitors(keys)
    assert found == {key: Visitor(user.pk) for key, user in zip(keys, users, strict=True)}


def test_each_session_is_whose_django_says_it_is(settings: Settings) -> None:
    kinds = ("whole", "expired", "new password", "another backend", "no hash", "a visitor's", "rotated key")
    sessions = {kind: session_of(UserFactory()) for kind in kinds}
    Session.objects.filter(pk=sessions["expired"].session_key).update(expire_date=timezone.now() - timedelta(days=1))
    owner = User.objects.get(pk=sessions["new password"]["_auth_user_id"])
    owner.set_password("another horse 2")
    User.objects.filter(pk=owner.pk).update(password=owner.password)
    sessions["another backend"][BACKEND_SESSION_KEY] = "elsewhere.Backend"
    del sessions["no hash"][HASH_SESSION_KEY]
    sessions["a visitor's"].flush()
    sessions["a visitor's"]["said"] = "hello"
    for kind in ("another backend", "no hash", "a visitor's"):
        sessions[kind].save()
    keys = {kind: str(session.session_key) for kind, session in sessions.items()}
    found = visitors([*keys.values(), "invented"])
    assert {kind: found[key].user_id for kind, key in keys.items()} == {
        kind: as_django_has_it(key) for kind, key in keys.items()
    }
    assert [kind for kind, key in keys.items() if found[key].user_id] == ["whole", "rotated key"]
    assert found["invented"] == Visitor()


def test_a_session_begun_with_the_key_before_still_counts(settings: Settings) -> None:
    user = UserFactory()
    key = str(session_of(user).session_key)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key that is long enough for a production start, too"
    assert visitors([key]) == {key: Visitor(user.pk)}


def test_the_session_of_a_banned_user_says_so() -> None:
    user = UserFactory()
    key = str(session_of(user).session_key)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert visitors([key]) == {key: Visitor(banned=True)}


def test_sessions_may_be_kept_elsewhere(settings: Settings) -> None:
    user = UserFactory()
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    client = Client()
    client.force_login(user)
    key = str(client.session.session_key)
    assert visitors([key, "invented"]) == {key: Visitor(user.pk), "invented": Visitor()}
