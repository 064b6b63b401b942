"""The gate at work: `uvicorn airy.asgi:application`, as anybody starts it, and clients that are slow, large or many."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.conformance.processes import Manage
from tests.support.factories import UserFactory
from tests.support.servers.ports import answers, free_port
from tests.support.servers.process import ServerProcess

pytestmark = pytest.mark.home

#: Seconds that a client has for each thing; and what it has to be over.
PATIENCE, LATE = 1, 8.0
LIMITS = {
    "HEAD_SECONDS": PATIENCE,
    "BODY_SECONDS": PATIENCE,
    "ANSWER_SECONDS": PATIENCE,
    "HEAD_BYTES": 8_192,
    "CONNECTIONS_PER_ADDRESS": 150,
    "RATE_LIMITS": "on",
    "LIMIT_ADDRESS": "100000/1",
    "LIMIT_HANDSHAKES": "100000/1",
    "LIMIT_READ": "100000/1",
    "LIMIT_VISIT": "100000/1",
    "REQUESTS_AT_ONCE_PER_ADDRESS": 50,
    "LIMIT_WRITE": "100000/1",
}
GET = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n"


class Served:
    """A server process of the test's own, without a database that it could use."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.log = folder / "uvicorn.log"
        self.folder = folder
        environment = {name: str(value) for name, value in LIMITS.items()} | {
            "DJANGO_SETTINGS_MODULE": "airy.settings",
            "DATABASE_URL": f"sqlite:///{folder}/nothing.sqlite3",
            "TMPDIR": str(folder),
            "AIRY_TEST_CHILD": "on",
            "REDIS_URL": "",
            "MQ_HOST": "",
            "LOG_LEVEL": "WARNING",
        }
        command = [sys.executable, "-m", "uvicorn", "airy.asgi:application", "--port", str(self.port)]
        self._process = ServerProcess(command, log=self.log, environment=environment)
        self._process.wait_until(lambda: answers(self.port))

    def open(self) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=LATE)
        opened.settimeout(LATE)
        return opened

    def ask(self, *parts: bytes) -> bytes:
        """Send parts; returns all that comes until the server closes."""
        with closing(self.open()) as client:
            for part in parts:
                try:
                    client.sendall(part)
                except OSError:
                    break
            return until_closed(client)

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    def spooled(self) -> int:
        """Bytes in temporary files of the server, those without a name too."""
        links = Path(f"/proc/{self._process.pid}/fd").iterdir()
        return sum(link.stat().st_size for link in links if str(self.folder) in os.readlink(link) and link.exists())

    def end(self) -> None:
        self._process.end(signal.SIGTERM, within=20)


def until_closed(client: socket.socket) -> bytes:
    """What comes until the server closes; fails if it does not."""
    received = b""
    while True:
        try:
            part = client.recv(65_536)
        except ConnectionResetError:
            return received
        except TimeoutError:
            pytest.fail(f"still open after {LATE} s, with {received[:200]!r}")
        if not part:
            return received
        received += part


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("served"))
    yield server
    server.end()


SLOW = {
    "silent": b"",
    "half a line": b"GET / HT",
    "empty lines": b"\r\n\r\n",
    "half a head": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b",
    "half a body": b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nuser",
    "half a chunk": b"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nuser",
    "half a second head": GET % (b"/healthz", b"") + b"GET / HTTP/1.1\r\nHost:",
    "nothing after an upgrade refused": GET % (b"/", b"Connection: upgrade\r\nUpgrade: h2c\r\n"),
}


@pytest.mark.parametrize("how", SLOW)
def test_slow_clients_are_ended(served: Served, how: str) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(served.open())) for _ in range(30)]
        for client in clients:
            client.sendall(SLOW[how])
        for client in clients:
            until_closed(client)


def test_one_byte_a_moment_is_not_fast_enough(served: Served) -> None:
    with closing(served.open()) as client:
        begun = time.monotonic()
        with pytest.raises(OSError):
            for byte in b"GET / HTTP/1.1\r\nHost: " + b"a" * 1000:
                client.sendall(bytes([byte]))
                time.sleep(0.05)
        assert time.monotonic() - begun < LATE


def test_who_does_not_take_the_answers_is_ended(served: Served, eventually: Callable[..., None]) -> None:
    sheet, times = GET % (b"/static/airy.css", b""), 300
    size = len(served.ask(GET % (b"/static/airy.css", b"Connection: close\r\n")))
    before = served.open_files()
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(socket.socket())) for _ in range(10)]
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.connect(("127.0.0.1", served.port))
            client.sendall(sheet * times)
        for client in clients:
            assert select.select([client], [], [], LATE)[0]
        eventually(lambda: served.open_files() <= before, within=LATE + 10)
        assert all(len(until_closed(client)) < size * times * 0.9 for client in clients)


def test_a_head_of_any_length_is_not_kept(served: Served) -> None:
    said = served.ask(
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", *[b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(99)]
    )
    assert said.startswith(b"HTTP/1.1 431 ") or not said
    while_busy = served.ask(GET % (b"/", b""), b"GET / HTTP/1.1\r\nX-A: ", *[b"a" * 4000] * 9)
    assert b"HTTP/1.1 200" not in while_busy.partition(b"HTTP/1.1 ")[2].partition(b"HTTP/1.1 ")[2]


BIG = {
    "announced": lambda path: [b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50000000\r\n\r\n" % path],
    "chunked": lambda path: [b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n" % path],
}


@pytest.mark.parametrize("how", BIG)
@pytest.mark.parametrize("path", [b"/api/login", b"/nothing-here", b"/admin/login/"])
def test_a_large_body_is_refused_before_it_touches_the_disk(served: Served, how: str, path: bytes) -> None:
    chunk = b"x" * 100_000
    part = b"%x\r\n%s\r\n" % (len(chunk), chunk) if how == "chunked" else chunk
    said = served.ask(*BIG[how](path), *[part] * 30)
    head, _, text = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in head
    if path.startswith(b"/api/"):
        assert "too large" in json.loads(text)["detail"]
    assert served.spooled() < 1_000_000


def test_a_body_of_a_megabyte_goes_through(served: Served) -> None:
    body = b"x" * 1_000_000
    head = b"POST /nothing-here HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    assert served.ask(head % len(body), body).startswith(b"HTTP/1.1 404 ")


def test_an_address_has_so_many_connections(served: Served, eventually: Callable[..., None]) -> None:
    files = [0]

    def are_refused() -> bool:
        files.append(served.open_files())
        return "CONNECTIONS_PER_ADDRESS" in served.log.read_text()

    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(closing(served.open()))
        eventually(are_refused, within=LATE)
    assert max(files) < 150 + 20


def test_compression_of_sockets_is_off_however_the_server_was_started(served: Served) -> None:
    with connect(f"ws://127.0.0.1:{served.port}/ws/notifications/", legacy=True) as opened:
        assert not opened.protocol.extensions


def test_a_forged_address_is_not_believed_by_a_server_on_this_host(served: Served) -> None:
    said = served.ask(GET % (b"/metrics", b"X-Forwarded-For: 10.1.1.1\r\nConnection: close\r\n"))
    assert said.startswith(b"HTTP/1.1 403 ")
    assert served.ask(GET % (b"/metrics", b"Connection: close\r\n")).startswith(b"HTTP/1.1 200 ")
    assert "is this a proxy for TRUSTED_PROXIES?" in served.log.read_text()


def test_up_ends_slow_clients_and_bounds_the_sockets_of_an_address(
    manage: Manage, eventually: Callable[..., None]
) -> None:
    port = free_port()
    manage("up", f"127.0.0.1:{port}", HEAD_SECONDS="1", SOCKETS_PER_ADDRESS="3", RATE_LIMITS="on")
    visitor = Client()
    visitor.force_login(UserFactory())
    cookie = f"{settings.SESSION_COOKIE_NAME}={visitor.cookies[settings.SESSION_COOKIE_NAME].value}"

    def tab() -> ClientConnection:
        address = f"ws://127.0.0.1:{port}/ws/notifications/"
        opened = connect(address, compression=None, legacy=True, additional_headers={"Cookie": cookie})
        opened.send('{"op":"hello","v":1,"last_seq":null}')
        assert '"ready"' in opened.recv(timeout=LATE)
        return opened

    eventually(lambda: answers(port), within=60)
    with closing(socket.create_connection(("127.0.0.1", port), timeout=LATE)) as client:
        assert until_closed(client) == b""
    with ExitStack() as stack:
        tabs = [stack.enter_context(closing(tab())) for _ in range(3)]
        with pytest.raises(InvalidStatus) as refused:
            tab()
        assert refused.value.response.status_code == 429
        with pytest.raises(ConnectionClosedError) as closed:
            tabs[0].send("x" * (settings.SOCKET_FRAME_BYTES + 1))
            tabs[0].recv(timeout=LATE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        eventually(lambda: stack.enter_context(closing(tab())))
