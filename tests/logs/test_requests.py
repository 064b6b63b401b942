"""Lines of a request: what is logged while it runs says its id, method, route and user."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.test import Client
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from airy.asgi import application, gate
from airy.gate.proxies import Proxies
from notifications.live.socket import NotificationSocket
from tests.logs.json_log import json_log
from tests.support.factories import UserFactory
from tests.support.servers.ports import answers, free_port
from tests.support.servers.process import ServerProcess
from tests.support.websocket import Server

pytestmark = pytest.mark.home


async def ask(path: str, **headers: str) -> dict[str, str]:
    """GET by the real ASGI application; returns the headers of the answer."""
    given = {"host": "testserver"} | headers
    scope: dict[str, Any] = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
        "raw_path": path.encode(),
        "query_string": b"token=hunter2", "root_path": "", "client": ("192.0.2.1", 4711), "server": ("testserver", 80),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip
    request = ApplicationCommunicator(application, scope)
    await request.send_input({"type": "http.request"})
    answer = await request.receive_output(10)
    while (await request.receive_output(10)).get("more_body"):
        pass
    await request.wait()
    return {name.decode().lower(): value.decode() for name, value in answer["headers"]}


@pytest.mark.django_db(transaction=True)
def test_a_view_that_raises_is_logged_with_its_traceback_request_route_and_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def crash(*args: object, **options: object) -> None:
        raise RuntimeError("it crashed")

    monkeypatch.setattr("feeds.api.posts.get_post", crash)
    client = Client()
    client.force_login(user := UserFactory())
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    with json_log() as lines:
        headers = asyncio.run(ask("/api/posts/4711", cookie=cookie))
    (line,) = [line for line in lines if line["logger"] == "django.request"]
    assert line["event"] == "Internal Server Error: api/posts/<post_id>"
    assert "RuntimeError: it crashed" in line["exception"]
    assert (line["method"], line["user_id"], line["status_code"]) == ("GET", user.pk, 500)
    assert line["request_id"] == headers["x-request-id"]
    assert "4711" not in json.dumps(line | {"exception": ""})
    assert "hunter2" not in json.dumps(line)


@pytest.mark.django_db(transaction=True)
def test_an_address_with_a_token_is_logged_by_its_route() -> None:
    with json_log() as lines:
        asyncio.run(ask("/email/12/hunter2hunter2/extra"))
        asyncio.run(ask("/password/new/MQ/hunter2"))
    assert next(line["event"] for line in lines if line["logger"] == "django.request") == "Not Found: (no route)"
    assert "hunter2" not in json.dumps(lines)


@pytest.mark.django_db(transaction=True)
def test_the_id_of_a_request_is_a_trusted_proxy_s_or_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    given = "0af7651916cd43dd8448eb211c80319c"
    assert asyncio.run(ask("/healthz", x_request_id=given))["x-request-id"] != given
    monkeypatch.setattr(gate, "_proxies", Proxies([ip_network("192.0.2.0/24")]))
    assert asyncio.run(ask("/healthz", x_request_id=given))["x-request-id"] == given
    for bad in ("short", "x" * 200, 'a"b"c"d"e"f', "two words here"):
        made = asyncio.run(ask("/healthz", x_request_id=bad))["x-request-id"]
        assert len(made) == 32
        assert made.isalnum()


def test_a_socket_s_lines_have_its_id_and_its_user(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive(self: object, text: str | None) -> None:
        logging.getLogger("shop").warning("heard")
        raise TimeoutError

    monkeypatch.setattr(NotificationSocket, "receive", receive)
    user = UserFactory()
    with json_log() as lines:
        tab = server.connect(user)
        tab.say("ping")
        assert tab.hear_close() == 1013
    told = [line for line in lines if line["event"] in ("heard", "a socket could not be served")]
    assert len(told) == 2
    assert {line["user_id"] for line in told} == {user.pk}
    assert len({line["request_id"] for line in told}) == 1


def test_all_that_uvicorn_writes_is_json_with_the_traceback_of_an_application_that_fails(tmp_path: Path) -> None:
    """A proxy's id is believed. The database has no tables, and the limit of handshakes is broken."""
    (tmp_path / "broken.py").write_text("from airy.settings import *\nLIMIT_HANDSHAKES = None\n")
    port, log = free_port(), tmp_path / "uvicorn.log"
    environment = {
        "DJANGO_SETTINGS_MODULE": "broken",
        "PYTHONPATH": f"{tmp_path}:{settings.BASE_DIR}",
        "DATABASE_URL": f"sqlite:///{tmp_path}/nothing.sqlite3",
        "AIRY_TEST_CHILD": "on",
        "REDIS_URL": "",
        "MQ_HOST": "",
        "RATE_LIMITS": "on",
        "TRUSTED_PROXIES": "127.0.0.1",
        "LOG_LEVEL": "INFO",
    }
    command = [str(Path(sys.executable).with_name("uvicorn")), "airy.asgi:application", "--port", str(port)]
    process = ServerProcess(command, log=log, environment=environment)
    process.wait_until(lambda: answers(port))
    with pytest.raises(HTTPError) as failed:
        urlopen(Request(f"http://127.0.0.1:{port}/?token=hunter2", headers={"X-Request-ID": "from-the-proxy"}))
    assert failed.value.headers["X-Request-ID"] == "from-the-proxy"
    with pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{port}/ws/notifications/?token=hunter2", legacy=True)
    process.end(signal.SIGTERM)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert "hunter2" not in log.read_text()
    assert {line["process"] for line in lines} == {"web"}
    (view,) = [line for line in lines if line["logger"] == "django.request"]
    assert "no such table" in view["exception"]
    assert (view["request_id"], view["method"]) == ("from-the-proxy", "GET")
    (handshake,) = [line for line in lines if line["event"] == "Exception in ASGI application"]
    assert (handshake["logger"], handshake["level"]) == ("uvicorn.error", "error")
    assert "Traceback" in handshake["exception"]
    assert "in _handshake" in handshake["exception"]
    assert handshake["request_id"]
    said = [line["event"] for line in lines if line["logger"] == "uvicorn.error"]
    assert any(event.startswith("Uvicorn running on http://") for event in said)
    assert said[-1].startswith("Finished server process")
