"""Traces of Airy: from a request to the sockets, as a collector receives them; what is asked for and cannot be had."""

from __future__ import annotations

import json
import logging
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from ipaddress import ip_network

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.test import Client
from django.utils import timezone
from websockets.sync.client import ClientConnection, connect

from airy.asgi import application
from airy.tracing import Seldom, TracedRequests
from events import tracing
from events.testing import deliver
from feeds import actions
from feeds.models import Follow
from tests.conformance.processes import Manage
from tests.support.collector import Collector, Recorded, collecting
from tests.support.factories import FollowFactory, PostFactory
from tests.support.traced import traced
from tests.support.websocket import Server

SERVER = 2
#: From a person's click to another person's page.
WAY = [
    "POST /api/posts",
    "create post.published",
    "process notifications.ring_bells",
    "push stream.moved",
    "write stream.moved",
]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with traced() as collector:
        yield collector


@pytest.fixture
def server(transactional_db: None) -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def follow(transactional_db: None) -> Follow:
    """Somebody follows an author; both are here for too long to be welcomed."""
    long_ago = timezone.now() - timedelta(days=1)
    return FollowFactory(followee__date_joined=long_ago, follower__date_joined=long_ago)


def ask(
    server: Server,
    method: str,
    path: str,
    *,
    token: str = "",
    body: bytes = b"",
    client: str = "203.0.113.7",
    **more: str,
) -> int:
    """Ask the application as a server does; returns the status."""
    headers = {"host": "testserver", "content-type": "application/json", "content-length": str(len(body))}
    headers |= {"authorization": f"Bearer {token}"} | more
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": path, "query_string": b"",
        "raw_path": path.encode(), "root_path": "", "client": (client, 1), "server": ("testserver", 80),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip

    async def once() -> int:
        communicator = ApplicationCommunicator(TracedRequests(application, tracing.spans.tracer), scope)
        await communicator.send_input({"type": "http.request", "body": body})
        status = (await communicator.receive_output(10))["status"]
        await communicator.wait(10)
        return status

    return server.run(once())


def test_a_request_and_what_it_shows_on_anothers_page_are_one_trace(
    server: Server, collector: Collector, follow: Follow, eventually: Callable[..., None]
) -> None:
    tab = server.connect(follow.follower)
    tab.hello()
    token = actions.create_token(follow.followee, name="test")[1]
    collector.spans.clear()
    post = json.dumps({"title": "Very private", "body": "Words"}).encode()
    assert ask(server, "POST", "/api/posts", token=token, body=post) == 201
    deliver()
    assert tab.hear()["op"] == "note"
    eventually(lambda: collector.named("write stream.moved"))
    assert collector.way_to(collector.one("write stream.moved")) == WAY
    request = collector.one("POST /api/posts")
    assert (request.kind, request.failed) == (SERVER, False)
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/api/posts",
        "http.response.status_code": 201,
        "url.scheme": "http",
    }
    assert collector.one("write stream.moved").attributes["airy.sockets"] == 1
    assert not any(
        text in body for body in collector.bodies for text in (b"private", follow.followee.username.encode())
    )


def test_a_request_is_named_by_the_pattern_of_its_address_and_probes_are_left_out(
    server: Server, collector: Collector
) -> None:
    post = PostFactory()
    collector.spans.clear()
    assert ask(server, "GET", f"/posts/{post.pk}") == 200
    assert ask(server, "GET", f"/users/{post.author.username}") == 200
    assert ask(server, "GET", "/nothing/here") == 404
    assert ask(server, "GET", "/healthz") == 200
    assert [span.name for span in collector.spans if span.kind == SERVER] == [
        "GET /posts/<id:post_id>",
        "GET /users/<str:username>",
        "GET",
    ]


@pytest.mark.parametrize("trusted", [True, False])
def test_a_trace_is_continued_for_a_trusted_proxy_alone(
    server: Server, collector: Collector, settings, trusted
) -> None:
    settings.TRUSTED_PROXIES = (ip_network("198.51.100.7"),) if trusted else ()
    begun = f"00-{'a' * 32}-{'b' * 16}-01"
    assert ask(server, "GET", "/posts/1", client="198.51.100.7", traceparent=begun) == 404
    request = collector.one("GET /posts/<id:post_id>")
    assert (request.trace == "a" * 32, request.parent == "b" * 16) == (trusted, trusted)


def test_an_exporter_says_the_same_once_in_a_while() -> None:
    seldom, line = Seldom(0.05), logging.makeLogRecord({"msg": "Failed to export %s", "args": ("spans",)})
    assert [seldom.filter(line), seldom.filter(line)] == [True, False]
    assert seldom.filter(logging.makeLogRecord({"msg": "another"}))
    again = time.monotonic() + 0.05
    while not seldom.filter(line):
        assert time.monotonic() < again + 1
    assert time.monotonic() >= again - 0.01


# In processes of their own ------------------------------------------------------------------------------------------


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Page:
    """A page that is open, and a program of its author, at a server process."""

    def __init__(self, follow: Follow, port: int) -> None:
        self._address = f"127.0.0.1:{port}"
        self._token = actions.create_token(follow.followee, name="test")[1]
        self._client = Client()
        self._client.force_login(follow.follower)
        self.socket: ClientConnection | None = None

    def is_open(self) -> bool:
        cookie = self._client.cookies[settings.SESSION_COOKIE_NAME].value
        try:
            self.socket = connect(
                f"ws://{self._address}/ws/notifications/",
                origin=f"http://{self._address}",
                additional_headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"},
                compression=None,
                legacy=True,
            )
        except OSError:
            return False
        self.socket.send(json.dumps({"op": "hello", "v": 1, "last_seq": None}))
        self.hear("ready")
        return True

    def hear(self, op: str) -> None:
        while json.loads(self.socket.recv(timeout=60))["op"] != op:
            pass

    def post(self) -> None:
        request = urllib.request.Request(
            f"http://{self._address}/api/posts",
            json.dumps({"title": "A", "body": "B"}).encode(),
            {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 201


def written(collector: Collector) -> list[Recorded]:
    return collector.named("write stream.moved")


@pytest.mark.home
def test_all_in_one_process_send_their_spans(
    manage: Manage, follow: Follow, port: int, eventually: Callable[..., None]
) -> None:
    page = Page(follow, port)
    with collecting() as (url, collector):
        up = manage("up", f"127.0.0.1:{port}", OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY="100000")
        eventually(page.is_open, within=90)
        page.post()
        page.hear("note")
        up.terminate()
        assert up.wait(30) == 0
        # The last spans were sent when it ended.
        assert collector.way_to(written(collector)[0]) == WAY
        [sent] = [span for span in collector.spans if span.name == f"send airy.{WAY[2].removeprefix('process ')}"]
        assert sent.trace == written(collector)[0].trace
        assert {(span.service, span.process) for span in collector.spans} == {("airy", "up")}


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.rabbitmq
@pytest.mark.redis
def test_a_web_process_a_relay_and_a_worker_make_one_trace(
    manage: Manage, follow: Follow, port: int, eventually: Callable[..., None]
) -> None:
    page = Page(follow, port)
    with collecting() as (url, collector):
        manage("runserver", f"127.0.0.1:{port}", "--noreload", OTEL_EXPORTER_OTLP_ENDPOINT=url)
        worker = manage.worker(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_SERVICE_NAME="airy-workers")
        eventually(page.is_open, within=90)
        page.post()
        page.hear("note")
        worker.terminate()
        assert worker.wait(60) == 0
        eventually(lambda: written(collector), within=30)
    last = written(collector)[0]
    assert collector.way_to(last) == WAY
    created = next(span for span in collector.named("create post.published") if span.trace == last.trace)
    sent = next(span for span in collector.spans if span.name.startswith("send") and created.id in span.links)
    assert sent.attributes["messaging.system"] == "rabbitmq"
    by_name = {span.name: (span.service, span.process) for span in collector.spans if span.trace == last.trace}
    assert [by_name[name] for name in WAY] == [
        ("airy", "web"),
        ("airy", "web"),
        ("airy-workers", "worker"),
        ("airy-workers", "worker"),
        ("airy", "web"),
    ]
    assert (sent.service, sent.process) == ("airy-workers", "relay")


@pytest.mark.slow
@pytest.mark.home
def test_a_collector_that_takes_nothing_holds_up_neither_work_nor_the_end(
    manage: Manage, follow: Follow, port: int, eventually: Callable[..., None]
) -> None:
    page = Page(follow, port)
    with socket.socket() as silent:  # it takes connections, and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        up = manage("up", f"127.0.0.1:{port}", OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY="100")
        eventually(page.is_open, within=90)
        for _ in range(3):
            page.post()
            page.hear("note")
        began = time.monotonic()
        up.terminate()
        assert up.wait(30) == 0
    assert time.monotonic() - began < 10 + tracing.END_WITHIN
    assert "Traceback" not in manage.log()
