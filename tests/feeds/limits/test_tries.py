"""Tries: guessing slows down, at every door, and does not lock the owner out."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client, RequestFactory

from feeds.errors import TooOftenError
from feeds.limits import attempt
from tests.support.api_client import PASSWORD, Program, signed_up
from tests.support.browsers import Window, window
from tests.support.limits import Limited
from tests.support.logs import captured_logs

pytestmark = [pytest.mark.django_db, pytest.mark.home]


def by_page(name: str, password: str, address: str) -> HttpResponse:
    return Window(REMOTE_ADDR=address).post("/login", {"username": name, "password": password})


def by_api(name: str, password: str, address: str) -> HttpResponse:
    return Program(REMOTE_ADDR=address).post("/login", {"username": name, "password": password})


#: The administration has no sign-in of its own: `views/test_factor.py`.
DOORS = {"page": by_page, "api": by_api}
RIGHT = {"page": 302, "api": 200}


def refused(response: HttpResponse) -> bool:
    if response.status_code == 429:
        assert int(response.headers["Retry-After"]) >= 1
    return response.status_code == 429


@pytest.mark.parametrize("door", DOORS)
def test_an_address_guesses_so_often_at_each_door(limited: Limited, door: str) -> None:
    limited(TRIES_BY_ADDRESS="3/3600")
    tries = [refused(DOORS[door](f"alice{number}", "wrong", "192.0.2.1")) for number in range(5)]
    assert tries == [False, False, False, True, True]
    assert not refused(DOORS[door]("alice9", "wrong", "192.0.2.2"))


@pytest.mark.parametrize("door", DOORS)
def test_an_account_is_guessed_so_often_from_all_addresses_together(limited: Limited, door: str) -> None:
    limited(TRIES_BY_ACCOUNT="3/3600")
    signed_up("alice", is_staff=True)
    tries = [refused(DOORS[door]("alice", "wrong", f"192.0.2.{number}")) for number in range(5)]
    assert tries == [False, False, False, True, True]
    assert refused(DOORS[door]("alice", PASSWORD, "192.0.2.9"))
    assert not refused(DOORS[door]("bob", "wrong", "192.0.2.9"))


def test_the_administration_takes_no_guesses_at_a_password() -> None:
    browser = window(signed_up("alice", is_staff=True))
    for answer in (
        browser.get("/admin/password_change/"),
        browser.post("/admin/password_change/", {"old_password": "x"}),
    ):
        assert (answer.status_code, answer.headers["Location"]) == (302, "/settings")


def test_all_doors_and_spellings_of_a_name_count_together(limited: Limited) -> None:
    limited(TRIES_BY_ACCOUNT="3/3600")
    by_page("alice", "wrong", "192.0.2.1")
    by_api("ALICE", "wrong", "192.0.2.2")
    by_page(" ａlice ", "wrong", "192.0.2.3")
    assert refused(by_api("Alice", PASSWORD, "192.0.2.4"))


@pytest.mark.parametrize("door", DOORS)
def test_who_signed_in_here_before_gets_in_while_others_guess(limited: Limited, door: str) -> None:
    limited(TRIES_BY_ACCOUNT="3/3600", TRIES_BY_PAIR="2/3600")
    signed_up("alice", is_staff=True)
    assert DOORS[door]("alice", PASSWORD, "2001:db8::1").status_code == RIGHT[door]
    for number in range(10):
        DOORS[door]("alice", "wrong", f"192.0.2.{number}")
    assert refused(DOORS[door]("alice", PASSWORD, "192.0.2.200"))
    assert DOORS[door]("alice", PASSWORD, "2001:db8::2").status_code == RIGHT[door]
    tries = [refused(DOORS[door]("alice", "wrong", "2001:db8::3")) for number in range(3)]
    assert tries == [False, False, True]


def test_right_passwords_cost_nothing(limited: Limited) -> None:
    limited(TRIES_BY_ADDRESS="2/3600", TRIES_BY_ACCOUNT="2/3600", TRIES_BY_PAIR="2/3600")
    signed_up("alice")
    assert {by_page("alice", PASSWORD, "192.0.2.1").status_code for _ in range(6)} == {302}


def test_a_failed_sign_in_is_logged_with_name_and_address_and_without_the_password(limited: Limited) -> None:
    limited(TRIES_BY_ADDRESS="2/3600")
    with captured_logs("feeds.tries") as lines:
        for door in DOORS.values():
            door("alice", "a secret guess", "192.0.2.1")
        by_page("alice", "a secret guess", "192.0.2.1")
    assert [line["event"] for line in lines] == ["sign-in failed"] * 2 + ["sign-in refused"]
    assert {(line["address"], line["name"]) for line in lines} == {("192.0.2.1", "alice")}
    assert "a secret guess" not in str(lines)


def test_the_line_in_the_log_names_the_address_first_whatever_the_name_is() -> None:
    script = """
import django; django.setup()
from django.test import RequestFactory
from feeds.limits import attempt
request = RequestFactory().get("/", REMOTE_ADDR="::ffff:192.0.2.7")
attempt(request, '", "address": "203.0.113.9", "event": "sign-in failed' + chr(10) + "x" * 500).failed()
"""
    said = subprocess.run(
        (sys.executable, "-c", script), capture_output=True, text=True, timeout=60,
        env=_production(),
    ).stderr  # fmt: skip
    (line,) = said.strip().splitlines()
    said = (Path(settings.BASE_DIR) / "docs" / "operations.md").read_text()
    (failregex,) = re.findall(r"failregex = (.*)", said)
    found = re.match(failregex.replace("<HOST>", "(?P<host>[0-9.]+)"), line)
    assert found is not None
    assert found["host"] == "192.0.2.7"
    assert len(json.loads(line)["name"]) == 150


def test_a_guess_of_another_kind_has_tries_of_its_own(limited: Limited) -> None:
    limited(TRIES_BY_ACCOUNT="1/3600")
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1")
    attempt(request, "alice", what="code").failed()
    with pytest.raises(TooOftenError) as raised:
        attempt(request, "alice", what="code")
    assert raised.value.wait > 3000
    attempt(request, "alice").succeeded()


def test_registering_is_limited_by_address_on_the_page_and_in_the_api_together(limited: Limited) -> None:
    limited(REGISTRATIONS="2/3600")
    answers = [
        Program(REMOTE_ADDR=f"2001:db8::{number}").post("/register", {"username": f"a{number}", "password": PASSWORD})
        for number in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    form = {"username": "a3", "password": PASSWORD}
    assert refused(Client(REMOTE_ADDR="2001:db8::3").post("/register", form))
    assert refused(Program(REMOTE_ADDR="2001:db8::4").post("/register", form))
    assert Program(REMOTE_ADDR="2001:db8:1::1").post("/register", form).status_code == 201


def _production() -> dict[str, str]:
    import os

    return {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": os.environ["SECRET_KEY"],
        "DJANGO_SETTINGS_MODULE": "airy.settings",
    }
