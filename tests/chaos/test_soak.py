"""Soak: eight programs at the JSON API of `manage.py up`, which delivers meanwhile; on SQLite not one lock is lost."""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.conf import settings

from events.models import OutboxMessage
from tests.conftest import Manage
from tests.support import agreement

PROGRAMS = 8


class Program:
    """One signed-in program over HTTP."""

    def __init__(self, port: int, number: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.seen: Counter[int] = Counter()
        self._headers = {"Content-Type": "application/json"}
        self.name = f"program{number}"
        self.call("POST", "/api/register", username=self.name, password="only-for-tests-7")
        token = self.call("POST", "/api/tokens", name="soak")["token"]
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, **body: Any) -> Any:
        """The answer's JSON; statuses are counted, a failure of the server is an error with its words."""
        self._connection.request(method, path, json.dumps(body) if body else None, self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if said_cookies := answer.headers.get_all("Set-Cookie"):
            cookies = SimpleCookie("; ".join(one.split(";")[0] for one in said_cookies))
            self._headers["Cookie"] = "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items())
            self._headers["X-CSRFToken"] = cookies["csrftoken"].value
        self.seen[answer.status] += 1
        assert answer.status < 500, f"{method} {path}: {answer.status} {said[:500]!r}"
        return json.loads(said) if said else None

    def act(self, dice: random.Random) -> None:
        """Something a busy member does."""
        posts = self.call("GET", "/api/posts?sort=new")["items"]
        post = dice.choice(posts)["id"] if posts else 0
        match dice.randrange(8):
            case 0:
                self.call("POST", "/api/posts", title=f"Soak {dice.random()}", body="Some *words*.")
            case 1 | 2:
                self.call("POST", f"/api/posts/{post}/comments", content=f"Said to @program{dice.randrange(PROGRAMS)}")
            case 3 | 4:
                self.call("PUT", f"/api/posts/{post}/vote", vote_type=dice.choice(["up", "down"]))
            case 5:
                self.call("DELETE", f"/api/posts/{post}/vote")
            case 6:
                self.call(dice.choice(["PUT", "DELETE"]), f"/api/users/program{dice.randrange(PROGRAMS)}/follow")
            case _:
                self.call("GET", "/api/feed")
                self.call("GET", "/api/notifications")


@pytest.mark.home
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seconds", [5, pytest.param(600, marks=pytest.mark.slow)])
def test_eight_programs_at_once_meet_no_locked_database(
    manage: Manage, eventually: Callable[..., None], seconds: int
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    manage("up", f"127.0.0.1:{port}", RATE_LIMITS="off", LOG_LEVEL="WARNING")
    eventually(lambda: _answers(port), within=60)
    programs = [Program(port, number) for number in range(PROGRAMS)]
    deadline, errors = time.monotonic() + seconds, []

    def work(program: Program, dice: random.Random) -> None:
        try:
            while time.monotonic() < deadline and not errors:
                program.act(dice)
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(program, random.Random(number))) for number, program in enumerate(programs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    eventually(lambda: not OutboxMessage.objects.exists(), within=120)
    eventually(lambda: agreement.everything() == [], within=30)
    assert "locked" not in manage.log()
    assert "Traceback" not in manage.log(), manage.log()[-3000:]
    print(f"{settings.AIRY_BROKER}: {sum((program.seen for program in programs), Counter())} in {seconds} s")  # noqa: T201


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
