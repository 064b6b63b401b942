"""The channel layer fails: hints are lost, and nothing else."""

import itertools
import shutil
import socket
import subprocess
import threading
from contextlib import closing

import pytest
from redis import Redis
from redis.exceptions import RedisError

from events.pool import TaskPool
from notifications import metrics
from notifications.notices.notices import Notice, notify
from notifications.push import hints as push
from notifications.push.registry import sockets
from tests.support.factories import UserFactory


class OwnRedis:
    """A Redis of this test alone, to be killed and started."""

    def __init__(self, port):
        self.port, self._process = port, None

    def start(self):
        command = ("redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kill(self):
        self._process.kill()
        self._process.wait()

    def answers(self):
        try:
            with closing(Redis(port=self.port)) as client:
                return client.ping()
        except RedisError:
            return False


@pytest.fixture
def redis(eventually, settings):
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server on PATH")
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        own = OwnRedis(probe.getsockname()[1])
    own.start()
    eventually(own.answers)
    config = {"hosts": [f"redis://127.0.0.1:{own.port}"], "prefix": "test"}
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": config}
    }
    yield own
    own.kill()


def tell(user, number):
    notify([Notice(user_id=user.pk, kind="follow", key=f"follow/{number}", data={"names": ["bob"], "count": 1})])


def lost():
    return metrics.HINTS_LOST._value.get()


@pytest.mark.redis
def test_a_redis_that_dies_and_comes_back_loses_no_note(redis, server, eventually):
    user = UserFactory()
    tab = server.connect(user)
    tab.hello()
    tell(user, 1)
    assert tab.hear()["seq"] == 1
    redis.kill()
    before = lost()
    for number in (2, 3):
        tell(user, number)
    eventually(lambda: lost() == before + 2)
    server.run(sockets.make_round())
    assert [tab.hear()["seq"] for _ in range(2)] == [2, 3]

    assert server.open().next()["type"] == "websocket.close"
    redis.start()
    eventually(redis.answers)
    numbers = itertools.count(4)

    def rings_again():
        tell(user, next(numbers))
        return tab.listen(0.5)

    eventually(rings_again)


@pytest.mark.redis
def test_a_full_pool_leaves_the_hint_to_the_one_who_sends_it(redis, server, monkeypatch):
    user, opened = UserFactory(), threading.Event()
    tab = server.connect(user)
    tab.hello()
    with TaskPool(1) as full:
        full.submit(opened.wait)
        monkeypatch.setattr(push, "get_pool", lambda: full)
        tell(user, 1)
        opened.set()
    assert tab.hear()["seq"] == 1


@pytest.mark.redis
def test_a_layer_that_hangs_gets_no_heap_of_hints(redis, server, monkeypatch):
    monkeypatch.setattr(push, "MOST_PENDING", 0)
    user, before = UserFactory(), lost()
    tab = server.connect(user)
    tab.hello()
    tell(user, 1)
    assert lost() == before + 1
    tab.assert_nothing_heard()
    server.run(sockets.make_round())
    assert tab.hear()["seq"] == 1


@pytest.mark.redis
def test_a_hint_is_a_task_of_the_pool(redis, server, monkeypatch):
    user = UserFactory()
    tab = server.connect(user)
    tab.hello()
    with TaskPool(1) as pool:
        monkeypatch.setattr(push, "get_pool", lambda: pool)
        tell(user, 1)
    assert pool.stats().completed == 1
    assert tab.hear()["seq"] == 1


@pytest.mark.redis
def test_a_full_pool_leaves_the_hint_of_an_event_loop_to_that_loop(redis, server, monkeypatch):
    user, opened = UserFactory(), threading.Event()
    tab = server.connect(user)
    tab.hello()
    with monkeypatch.context() as nothing_is_sent:
        nothing_is_sent.setattr(push, "MOST_PENDING", 0)
        tell(user, 1)

    async def ring():
        push.ring([push.Ring(user_id=user.pk, seq=1, unread=1, read_upto=0)])

    with TaskPool(1) as full:
        full.submit(opened.wait)
        monkeypatch.setattr(push, "get_pool", lambda: full)
        server.run(ring())
        opened.set()
    assert full.stats().rejected == 1
    assert tab.hear()["seq"] == 1
