"""Limits per account: pages, API and admin count together; a client above a limit gets 429 and the seconds to wait."""

from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from feeds import actions
from tests.support.api_client import Program, says
from tests.support.browsers import window
from tests.support.factories import UserFactory
from tests.support.limits import Limited

pytestmark = [pytest.mark.django_db, pytest.mark.home]


def at(address: str) -> dict[str, str]:
    return {"REMOTE_ADDR": address}


def refused_after(ask: Callable[[], HttpResponse], *, most: int) -> int | None:
    """The number of requests that succeeded before the first refused one."""
    for number in range(most + 2):
        response = ask()
        if response.status_code == 429:
            assert 1 <= int(response.headers["Retry-After"]) <= 86_400
            return number
    return None


def test_a_user_may_write_and_read_so_often_wherever_they_are(limited: Limited) -> None:
    limited(READ="5/86400", WRITE="3/86400")
    program = Program(UserFactory(username="alice"))
    assert refused_after(lambda: program.put("/users/nobody/follow"), most=3) == 3
    assert refused_after(lambda: program.get("/posts"), most=5) == 5
    says(program.get("/posts"), 429, "later")
    other = Program(UserFactory())
    assert other.put("/users/alice/follow").status_code == 200


def test_tokens_sessions_pages_and_admin_of_a_user_count_together(limited: Limited) -> None:
    limited(READ="5/86400")
    user = UserFactory(is_staff=True, is_superuser=True)
    browser = window(user)
    programs = [Program(user), Program(user)]
    asks = [
        lambda: browser.get("/"), lambda: browser.get("/admin/"), lambda: browser.get("/api/posts"),
        *(lambda one=one: one.get("/posts") for one in programs),
    ]  # fmt: skip
    assert [ask().status_code for ask in asks] == [200] * 5
    assert [ask().status_code for ask in asks] == [429] * 5


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/search?q=a",
        "/posts/1",
        "/login",
        "/admin/login/",
        "/api/posts",
        "/api/openapi.json",
        "/nothing",
        "/api/no",
    ],
)
def test_strangers_are_counted_by_their_network_at_every_address(limited: Limited, path: str) -> None:
    limited(VISIT="2/86400")
    assert refused_after(lambda: Client(**at("192.0.2.1")).get(path), most=2) == 2
    assert Client(**at("192.0.2.2")).get(path).status_code != 429
    numbers = iter(range(1, 9))
    assert refused_after(lambda: Client(**at(f"2001:db8::{next(numbers)}")).get(path), most=2) == 2


def test_an_invented_session_or_token_is_a_strangers(limited: Limited) -> None:
    limited(VISIT="2/86400")
    for number, headers in enumerate(
        [{"Cookie": "sessionid=invented"}, {"Authorization": "Bearer airy_invented"}, {"Authorization": "Bearer"}]
    ):
        ask = Client(**at(f"192.0.2.{number}"), headers=headers)
        assert refused_after(lambda ask=ask: ask.get("/api/posts"), most=2) == 2


def test_a_token_does_not_count_for_its_user_on_pages(limited: Limited) -> None:
    limited(READ="2/86400", VISIT="2/86400")
    token = actions.create_token(UserFactory(), name="x")[1]
    for path in ("/", "/api/posts"):
        ask = Client(**at("192.0.2.1"), headers={"Authorization": f"Bearer {token}"})
        assert refused_after(lambda ask=ask, path=path: ask.get(path), most=2) == 2
    assert Client(**at("192.0.2.1")).get("/").status_code == 429


def test_a_forged_address_is_not_believed(limited: Limited) -> None:
    limited(VISIT="2/86400")
    numbers = iter(range(9))
    ask = Client(**at("192.0.2.1"))
    assert refused_after(lambda: ask.get("/", headers={"X-Forwarded-For": f"10.0.0.{next(numbers)}"}), most=2) == 2


def test_limits_can_be_turned_off(limited: Limited, settings: Settings) -> None:
    limited(READ="2/86400")
    settings.RATE_LIMITS = False
    program = Program(UserFactory())
    assert refused_after(lambda: program.get("/posts"), most=5) is None
