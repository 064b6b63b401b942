"""Live push between processes: a server, a worker, and a client over the network."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.conftest import Manage, database_url
from tests.factories import CommentFactory, PostFactory, UserFactory


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


def served(manage, port):
    """A server on this port."""
    return manage("runserver", f"127.0.0.1:{port}", "--noreload")


def assert_sent_away(tab):
    """The server says when to come back, then that it restarts."""
    assert hear(tab, "drain")["retry_ms"] >= 500
    with pytest.raises(ConnectionClosed) as closed:
        hear(tab, "never")
    assert closed.value.rcvd.code == 1012


def test_a_worker_of_its_own_rings_and_a_restart_loses_nothing(manage: Manage, eventually, port):
    post = PostFactory(author__date_joined=timezone.now() - timedelta(days=1))  # no longer welcomed
    screen, opened = Screen(post.author, port), []
    server = served(manage, port)
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
    served(manage, port)
    eventually(lambda: opened.append(screen.open(note["seq"])) or opened[-1], within=90)
    tab = opened[-1]
    notes = [hear(tab, "note") for _ in missed]
    assert [one["seq"] for one in notes] == [note["seq"] + number for number in (1, 2, 3)]
    assert {one["data"]["comment_id"] for one in notes} == set(missed)
    tab.close()


@pytest.mark.django_db(transaction=True)
def test_plain_uvicorn_sends_its_sockets_away_before_it_stops(eventually, port):
    screen, opened = Screen(UserFactory(), port), []
    command = (sys.executable, "-m", "uvicorn", "airy.asgi:application", "--port", str(port))
    environment = os.environ | {"DATABASE_URL": database_url()}
    with subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR) as server:
        try:
            eventually(lambda: opened.append(screen.open()) or opened[-1], within=90)
            hear(opened[-1], "ready")
        finally:
            server.terminate()
        assert_sent_away(opened[-1])
    assert server.returncode in (0, -signal.SIGTERM)
