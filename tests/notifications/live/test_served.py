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

from tests.conftest import Manage
from tests.support.factories import CommentFactory, PostFactory


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Screen:
    """A signed-in person's socket on a served site."""

    def __init__(self, user, port):
        self._client, self._address = Client(), f"127.0.0.1:{port}"
        self._client.force_login(user)

    def open(self, last_seq=None):
        """Connect and say hello; returns the socket, or None while nobody answers."""
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


def hear(opened, op, within=60):
    """The next frame with this op."""
    while True:
        frame = json.loads(opened.recv(timeout=within))
        if frame["op"] == op:
            return frame


def assert_sent_away(tab):
    """The server says when to come back, then that it restarts."""
    assert hear(tab, "drain")["retry_ms"] >= 500
    with pytest.raises(ConnectionClosed) as closed:
        hear(tab, "never")
    assert closed.value.rcvd.code == 1012


def test_a_worker_of_its_own_rings_and_a_restart_on_plain_uvicorn_loses_nothing(manage: Manage, eventually, port):
    post = PostFactory(author__date_joined=timezone.now() - timedelta(days=1))  # no longer welcomed
    screen, opened = Screen(post.author, port), []
    server = manage("runserver", f"127.0.0.1:{port}", "--noreload")
    manage.worker(threads=2)
    eventually(lambda: opened.append(screen.open()) or opened[-1], within=90)
    tab = opened[-1]
    hear(tab, "ready")
    first = CommentFactory(post=post)
    note = hear(tab, "note")
    assert note["data"]["comment_id"] == first.pk

    server.terminate()
    assert_sent_away(tab)
    server.wait(30)
    missed = [CommentFactory(post=post).pk for _ in range(3)]
    server = manage.start(sys.executable, "-m", "uvicorn", "airy.asgi:application", "--port", str(port))
    eventually(lambda: opened.append(screen.open(note["seq"])) or opened[-1], within=90)
    tab = opened[-1]
    notes = [hear(tab, "note") for _ in missed]
    assert [one["seq"] for one in notes] == [note["seq"] + number for number in (1, 2, 3)]
    assert {one["data"]["comment_id"] for one in notes} == set(missed)
    server.terminate()
    assert_sent_away(tab)
