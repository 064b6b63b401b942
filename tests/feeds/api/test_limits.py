"""The API: a client above a limit gets 429 and the seconds to wait."""

import uuid
from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from feeds import limits
from feeds.limits import Limit
from tests.support.api_client import PASSWORD, Program, says, signed_up
from tests.support.factories import UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.home]


@pytest.fixture(autouse=True)
def _limited(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits are on, with low ones for reading and writing that no other test uses."""
    settings.RATE_LIMITS = True
    for name, most in (("READ", 5), ("WRITE", 3)):
        monkeypatch.setattr(limits, name, Limit(name=f"{name}/{uuid.uuid4()}", most=most, seconds=86_400))


def at(address: str) -> dict[str, str]:
    return {"REMOTE_ADDR": address}


def refused_after(ask: Callable[[], HttpResponse], *, most: int) -> int | None:
    """The number of requests that succeeded before the first refused one."""
    for number in range(2 * most + 1):  # a window may end meanwhile
        response = ask()
        if response.status_code == 429:
            says(response, 429, "later")
            assert 1 <= int(response.headers["Retry-After"]) <= 86_400
            return number
    return None


def test_a_user_may_write_and_read_so_often_wherever_they_are() -> None:
    program = Program(UserFactory(username="alice"))
    assert refused_after(lambda: program.put("/users/nobody/follow"), most=3) == 3
    assert refused_after(lambda: program.get("/posts"), most=5) == 5
    other = Program(UserFactory())
    assert other.put("/users/alice/follow").status_code == 200


def test_strangers_are_counted_by_their_address() -> None:
    assert refused_after(lambda: Client(**at("192.0.2.1")).get("/api/posts"), most=5) == 5
    assert Client(**at("192.0.2.2")).get("/api/posts").status_code == 200


def test_a_forged_address_is_believed_from_a_proxy_alone(settings: Settings) -> None:
    def ask(forged: str) -> HttpResponse:
        return Client(**at("192.0.2.1"), headers={"X-Forwarded-For": f"{forged}, 198.51.100.7"}).get("/api/posts")

    settings.BEHIND_PROXY = True
    assert refused_after(lambda: ask(str(uuid.uuid4())), most=5) == 5
    settings.BEHIND_PROXY = False
    assert refused_after(lambda: ask(str(uuid.uuid4())), most=5) == 5


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/login", {"username": "alice", "password": "guess"}),
        ("/register", {"username": "a b", "password": PASSWORD}),
    ],
)
def test_who_tries_names_and_passwords_is_stopped_at_their_address(path: str, body: dict[str, str]) -> None:
    signed_up("alice")
    guesser = Program(**at(str(uuid.uuid4())))
    went_well = refused_after(lambda: guesser.post(path, body), most=10)
    assert went_well is not None
    assert 10 <= went_well <= 20
    assert Program(**at(str(uuid.uuid4()))).post(path, body).status_code in {401, 422}


def test_limits_can_be_turned_off(settings: Settings) -> None:
    settings.RATE_LIMITS = False
    program = Program(UserFactory())
    assert refused_after(lambda: program.get("/posts"), most=5) is None


def test_a_limit_is_open_again_when_its_window_is_over(eventually: Callable[..., None]) -> None:
    limit = Limit(name=str(uuid.uuid4()), most=1, seconds=1)
    while limit.spend("x") is None:
        pass
    eventually(lambda: limit.spend("x") is None, within=5)
