"""Live push between processes: a server, a worker, and a client over the network."""

import json
import socket
import sys
from contextlib import closing
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.conformance.processes import Manage
from tests.support.factories import CommentFactory, PostFactory


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ServedClient:
    """A client with a user's session, for the sockets of a server process."""

    def __init__(self, user, port):
        self._client, self._address = Client(), f"127.0.0.1:{port}"
        self._client.force_login(user)

    def open(self, last_seq=None):
        """Connect and send hello; returns the socket, or None while the server does not answer."""
        cookie = self._client.cookies[settings.SESSION_COOKIE_NAME].value
        try:
            opened = connect(
                f"ws://{self._address}/ws/notifications/",
                origin=f"http://{self._address}",
                additional_headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"},
                compression=None,
                legacy=True,
            )
        except OSError:
            return None
        opened.send(json.dumps({"op": "hello", "v": 1, "last_seq": last_seq}))
        return opened


def receive(opened, op, within=60):
    """The next frame with this op."""
    while True:
        frame = json.loads(opened.recv(timeout=within))
        if frame["op"] == op:
            return frame


def assert_drained(tab):
    """The server sends drain, then closes with the code for a restart."""
    assert receive(tab, "drain")["retry_ms"] >= 500
    with pytest.raises(ConnectionClosed) as closed:
        receive(tab, "never")
    assert closed.value.rcvd.code == 1012


def test_a_worker_process_pushes_and_a_restart_on_plain_uvicorn_loses_nothing(manage: Manage, eventually, port):
    post = PostFactory(author__date_joined=timezone.now() - timedelta(days=1))  # too old to be welcomed
    client, opened = ServedClient(post.author, port), []
    server = manage("runserver", f"127.0.0.1:{port}", "--noreload")
    manage.worker(threads=2)
    eventually(lambda: opened.append(client.open()) or opened[-1], within=90)
    tab = opened[-1]
    receive(tab, "ready")
    first = CommentFactory(post=post)
    note = receive(tab, "note")
    assert note["data"]["comment_id"] == first.pk

    server.terminate()
    assert_drained(tab)
    server.wait(30)
    missed = [CommentFactory(post=post).pk for _ in range(3)]
    server = manage.start(sys.executable, "-m", "uvicorn", "airy.asgi:application", "--port", str(port))
    eventually(lambda: opened.append(client.open(note["seq"])) or opened[-1], within=90)
    tab = opened[-1]
    notes = [receive(tab, "note") for _ in missed]
    assert [one["seq"] for one in notes] == [note["seq"] + number for number in (1, 2, 3)]
    assert {one["data"]["comment_id"] for one in notes} == set(missed)
    server.terminate()
    assert_drained(tab)
