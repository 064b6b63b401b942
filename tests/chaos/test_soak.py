"""Soak: eight programs at the JSON API of `manage.py up`, which delivers meanwhile; on SQLite not one lock is lost."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings

from events.models import OutboxMessage
from tests.conformance.processes import Manage
from tests.support import agreement
from tests.support.api_client import Program
from tests.support.remote_client import RemoteClient
from tests.support.servers.ports import answers, free_port

PROGRAMS = 8


class Member:
    """A program of a new member, over HTTP."""

    def __init__(self, port: int, number: int) -> None:
        self.client = RemoteClient(port)
        self._program = Program(client=self.client)
        self.call("POST", "/register", username=f"program{number}", password="only-for-tests-7")
        token = self.call("POST", "/tokens", name="soak")["token"]
        self._program = Program(client=self.client, token=token)

    def call(self, method: str, path: str, **body: Any) -> Any:
        """The answer's JSON; a failure of the server is an error with its text."""
        answer = self._program.send(method, path, body or None)
        assert answer.status_code < 500, f"{method} {path}: {answer.status_code} {answer.content[:500]!r}"
        return answer.json() if answer.content else None

    def act(self, dice: random.Random) -> None:
        """Something a busy member does."""
        posts = self.call("GET", "/posts?sort=new")["items"]
        post = dice.choice(posts)["id"] if posts else 0
        match dice.randrange(8):
            case 0:
                self.call("POST", "/posts", title=f"Soak {dice.random()}", body="Some *words*.")
            case 1 | 2:
                self.call("POST", f"/posts/{post}/comments", content=f"Said to @program{dice.randrange(PROGRAMS)}")
            case 3 | 4:
                self.call("PUT", f"/posts/{post}/vote", vote_type=dice.choice(["up", "down"]))
            case 5:
                self.call("DELETE", f"/posts/{post}/vote")
            case 6:
                self.call(dice.choice(["PUT", "DELETE"]), f"/users/program{dice.randrange(PROGRAMS)}/follow")
            case _:
                self.call("GET", "/feed")
                self.call("GET", "/notifications")


@pytest.mark.home
@pytest.mark.parametrize("seconds", [5, pytest.param(600, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_eight_programs_at_once_meet_no_locked_database(
    manage: Manage, eventually: Callable[..., None], seconds: int
) -> None:
    port = free_port()
    manage("up", f"127.0.0.1:{port}", RATE_LIMITS="off", LOG_LEVEL="WARNING")
    eventually(lambda: answers(port), within=60)
    members = [Member(port, number) for number in range(PROGRAMS)]
    deadline, errors = time.monotonic() + seconds, []

    def work(member: Member, dice: random.Random) -> None:
        try:
            while time.monotonic() < deadline and not errors:
                member.act(dice)
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(member, random.Random(number))) for number, member in enumerate(members)
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
    print(f"{settings.AIRY_BROKER}: {sum((member.client.statuses for member in members), Counter())} in {seconds} s")  # noqa: T201
