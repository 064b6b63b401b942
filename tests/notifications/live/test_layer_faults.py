"""The channel layer fails: hints are lost, but no notices."""

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
from notifications.live import rounds
from notifications.push import channel_layer
from notifications.push.hints import StreamHint, push_streams
from tests.notifications.direct import notify_of_follower
from tests.support.factories import UserFactory


class OwnRedis:
    """A Redis server of this test alone, which can be killed and started."""

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
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "notifications.push.pubsub_layer.PubSubLayer", "CONFIG": config}}
    yield own
    own.kill()


def hints_lost():
    return metrics.HINTS_LOST.labels().value


@pytest.mark.redis
def test_a_redis_that_dies_and_comes_back_loses_no_note(redis, server, eventually):
    user = UserFactory()
    tab = server.connect(user)
    tab.hello()
    notify_of_follower(user, 1)
    assert tab.hear()["seq"] == 1
    redis.kill()
    before = hints_lost()
    for number in (2, 3):
        notify_of_follower(user, number)
    eventually(lambda: hints_lost() == before + 2)
    server.run(rounds.make_round())
    assert [tab.hear()["seq"] for _ in range(2)] == [2, 3]

    assert server.connect(UserFactory()).hear_close() == 1013
    redis.start()
    eventually(redis.answers)
    numbers = itertools.count(4)

    def is_pushed_again():
        notify_of_follower(user, next(numbers))
        return tab.listen(0.5)

    eventually(is_pushed_again)


@pytest.mark.redis
def test_with_a_full_pool_the_committing_thread_sends_the_hint(redis, server, monkeypatch):
    user, opened = UserFactory(), threading.Event()
    tab = server.connect(user)
    tab.hello()
    with TaskPool(1) as full:
        full.submit(opened.wait)
        monkeypatch.setattr(channel_layer, "get_pool", lambda: full)
        notify_of_follower(user, 1)
        opened.set()
    assert tab.hear()["seq"] == 1


@pytest.mark.redis
def test_a_layer_that_hangs_gets_no_growing_queue_of_hints(redis, server, monkeypatch):
    monkeypatch.setattr(channel_layer, "MOST_PENDING", 0)
    user, before = UserFactory(), hints_lost()
    tab = server.connect(user)
    tab.hello()
    notify_of_follower(user, 1)
    assert hints_lost() == before + 1
    tab.assert_nothing_heard()
    server.run(rounds.make_round())
    assert tab.hear()["seq"] == 1


@pytest.mark.redis
def test_a_hint_is_a_task_of_the_pool(redis, server, monkeypatch):
    user = UserFactory()
    tab = server.connect(user)
    tab.hello()
    with TaskPool(1) as pool:
        monkeypatch.setattr(channel_layer, "get_pool", lambda: pool)
        notify_of_follower(user, 1)
    assert pool.stats().completed == 1
    assert tab.hear()["seq"] == 1


@pytest.mark.redis
def test_with_a_full_pool_an_event_loop_sends_its_hint_itself(redis, server, monkeypatch):
    user, opened = UserFactory(), threading.Event()
    tab = server.connect(user)
    tab.hello()
    with monkeypatch.context() as nothing_is_sent:
        nothing_is_sent.setattr(channel_layer, "MOST_PENDING", 0)
        notify_of_follower(user, 1)

    async def push():
        push_streams([StreamHint(user_id=user.pk, seq=1, unread=1, read_upto=0, reads=0)])

    with TaskPool(1) as full:
        full.submit(opened.wait)
        monkeypatch.setattr(channel_layer, "get_pool", lambda: full)
        server.run(push())
        opened.set()
    assert full.stats().rejected == 1
    assert tab.hear()["seq"] == 1
