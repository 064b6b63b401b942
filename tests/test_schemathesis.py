"""The whole API, asked by schemathesis what its OpenAPI document allows and forbids, by token and by session.

    make test ARGS="--slow tests/test_schemathesis.py"                             # a minute each
    AIRY_FUZZ_SECONDS=600 make test ARGS="--slow tests/test_schemathesis.py"

No answer is a 5xx, has a status that is not documented for its operation, or is against its schema. What the schema
forbids is refused. What it allows is refused by a rule of `airy.rules` alone. Every operation that this client may ask
succeeds at least once.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings
from django.test import Client

from airy.api import api
from feeds import actions
from feeds.models import Circle, User
from tests.conformance.processes import Manage
from tests.support.api_client import PASSWORD, signed_up
from tests.support.factories import CircleFactory, CommentFactory, PostFactory, UserFactory
from tests.support.factors import App
from tests.support.servers.ports import free_port

SECONDS = int(os.environ.get("AIRY_FUZZ_SECONDS", "60"))
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "missing_required_header", "unsupported_method",
    "allow_header_conformance", "ignored_auth", "use_after_free",
    "refused_by_a_rule_alone",
)  # fmt: skip
#: What would end the run's own credentials. `ask_the_ending` asks it at the end.
ENDING = {
    "token": ["DELETE /api/tokens/{token_id}"],
    "session": [
        "POST /api/logout", "DELETE /api/sessions/{session_id}", "POST /api/login", "POST /api/register",
        "DELETE /api/me",
    ],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.home
@pytest.mark.timeout(2 * SECONDS + 300)
@pytest.mark.parametrize("by", ["token", "session"])
def test_the_api_does_what_its_document_says(
    by: str, manage: Manage, eventually: Callable[..., None], tmp_path: Path
) -> None:
    user = signed_up("fuzzer")
    known, asked = rows(user), tmp_path / "asked"
    port = free_port()
    manage("up", f"127.0.0.1:{port}", RATE_LIMITS="off")
    eventually(lambda: "running at" in manage.log(), within=60)
    skipped = [part for name in ENDING[by] for part in ("--exclude-name", name)]
    said = subprocess.run(
        [
            f"{Path(sys.executable).parent}/schemathesis", "run", f"http://127.0.0.1:{port}/api/openapi.json",
            "--max-time", str(SECONDS), "--phases", "examples,coverage,fuzzing,stateful", "--checks", ",".join(CHECKS),
            "--continue-on-failure", "--warnings", "off", "--no-color",
            "--generation-with-security-parameters", "false",  # the run sends its own in every request
            *headers(by, user), *skipped,
        ],
        cwd=settings.BASE_DIR, capture_output=True, text=True,
        env=os.environ | {
            "SCHEMATHESIS_HOOKS": "tests.support.fuzzing", "PYTHONPATH": str(settings.BASE_DIR),
            "AIRY_FUZZ_KNOWN": json.dumps(known), "AIRY_FUZZ_ASKED": str(asked),
        },
    )  # fmt: skip
    answers = Counter(tuple(line.split("\t")) for line in asked.read_text().splitlines())
    print(said.stdout[-3_000:], f"{answers.total()} answers by {by}:", *sorted(answers.items()), sep="\n")  # noqa: T201
    assert said.returncode == 0, said.stdout[-20_000:] + said.stderr[-5_000:]
    done = {operation for operation, status in answers if status.startswith("2")} | ask_the_ending(by, port)
    assert may_ask(by) - done == set()


def rows(user: User) -> dict[str, list[Any]]:
    """What the run may name: rows of the user and of others, enough that none is used up; and the user's password."""
    circle = CircleFactory(slug="cats", owner=user)
    posts = PostFactory.create_batch(90, author=user, circle=circle) + PostFactory.create_batch(60, circle=circle)
    commented = PostFactory(circle=circle)
    comments = [CommentFactory(author=author, post=commented) for author in [user] * 90 + [UserFactory()] * 60]
    for post in posts[120:]:
        actions.delete_post(user, post_id=post.pk, reason="")
    for comment in comments[120:]:
        actions.delete_comment(user, comment_id=comment.pk, reason="")
    actions.create_post(user, title="A draft", status="draft")
    people = [one.username for one in UserFactory.create_batch(5)]
    return {
        "post_id": [post.pk for post in posts],
        "comment_id": [comment.pk for comment in comments],
        "parent_id": [None],
        "username": people,
        "author": [None, user.username, *people],
        "slug": list(Circle.objects.values_list("slug", flat=True)),
        "circle": [None, "cats"],
        "token_id": [actions.create_token(user, name="x")[0].pk for _ in range(40)],
        "current_password": [PASSWORD],
    }


def headers(by: str, user: User) -> list[str]:
    """Who asks: with a token, or with the cookies of a browser and the CSRF token."""
    if by == "token":
        return ["-H", f"Authorization: Bearer {actions.create_token(user, name='schemathesis')[1]}"]
    browser, csrf = Client(), secrets.token_hex(16)
    browser.force_login(user)
    cookies = f"sessionid={browser.cookies['sessionid'].value}; csrftoken={csrf}"
    return ["-H", f"Cookie: {cookies}", "-H", f"X-CSRFToken: {csrf}"]


def may_ask(by: str) -> set[str]:
    """The operations that the document allows to a client with a token or a session."""
    ways = [{}, {"Token": []}] if by == "token" else [{}, {"Session": []}]
    return {
        f"{method.upper()} {path}"
        for path, operations in api.get_openapi_schema()["paths"].items()
        for method, operation in operations.items()
        if any(way in ways for way in operation["security"])
    }


def ask_the_ending(by: str, port: int) -> set[str]:
    """Ask, as another user, what ends credentials or needs a code of an app. Returns the operations that succeeded."""
    address, done = f"http://127.0.0.1:{port}", set[str]()
    leaver = signed_up("leaver")
    browser = requests.Session()

    def ask(operation: str, body: Any = None, **parameters: object) -> Any:
        method, path = operation.split()
        token = {"X-CSRFToken": browser.cookies.get("csrftoken", "")}
        answer = browser.request(method, address + path.format(**parameters), json=body, headers=token, timeout=60)
        assert answer.ok, (operation, answer.text)
        done.add(operation)
        return answer.json() if answer.content else None

    if by == "token":
        token, secret = actions.create_token(leaver, name="x")
        browser.headers["Authorization"] = f"Bearer {secret}"
        ask("DELETE /api/tokens/{token_id}", token_id=token.pk)
        del browser.headers["Authorization"]
    password = {"current_password": PASSWORD}
    ask("POST /api/register", {"username": "newcomer", "password": PASSWORD})
    ask("POST /api/logout")
    ask("POST /api/login", {"username": leaver.username, "password": PASSWORD})
    app = App(ask("POST /api/me/factor", password)["secret"])
    ask("PUT /api/me/factor", {"code": app.code()})
    ask("POST /api/me/factor/recovery-codes", password)
    ask("DELETE /api/me/factor", password)
    ask("DELETE /api/sessions/{session_id}", session_id=ask("GET /api/sessions")[0]["id"])
    ask("POST /api/login", {"username": leaver.username, "password": PASSWORD})
    ask("DELETE /api/me", password)
    return done
