"""PostgreSQL restarts: the relay is back within three seconds, whatever lies in its pool."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import dramatiq
import pytest
from django.db import connection

from events.models import OutboxMessage
from events.relay.relay import Relay
from tests.conformance.processes import database_url
from tests.support.at_once import at_once
from tests.support.effects import ring
from tests.support.servers.postgres import Cluster, running_cluster
from tests.support.servers.process import ServerMissingError
from tests.support.sessions import pid

pytestmark = [pytest.mark.postgres, pytest.mark.rabbitmq]

Eventually = Callable[..., None]


@pytest.fixture
def cluster(vhost: str, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A server of the test's own, which every connection of this process leads to, with the tables of the suite's."""
    with TemporaryDirectory() as folder:
        try:
            with running_cluster(Path(folder) / "server") as cluster:
                dump = subprocess.run(["pg_dump", "--schema-only", database_url()], capture_output=True, check=True)
                subprocess.run(["psql", "--quiet", cluster.url], input=dump.stdout, check=True, stdout=subprocess.PIPE)
                connection.close()
                connection.close_pool()
                with monkeypatch.context() as patch:
                    for name, value in {"HOST": "127.0.0.1", "PORT": cluster.port, "NAME": "airy"}.items():
                        patch.setitem(connection.settings_dict, name, value)
                    yield cluster
                    connection.close()
                    connection.close_pool()
        except ServerMissingError as reason:
            pytest.skip(str(reason))


def test_the_relay_is_back_within_three_seconds_with_ten_stale_sessions_in_its_pool(
    cluster: Cluster, eventually: Eventually
) -> None:
    stop = threading.Event()
    relay = Relay(dramatiq.get_broker(), stop=stop)
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        ring(1)
        eventually(lambda: not OutboxMessage.objects.exists())  # RabbitMQ has every queue from now on
        connection.close()
        for mode in ("fast", "immediate"):
            assert len(set(at_once(*[pid] * 10))) == 10
            cluster.restart(mode)
            back = time.monotonic()
            emitted = False
            while not emitted or cluster.value("SELECT count(*) FROM events_outboxmessage"):
                assert time.monotonic() < back + 3.0
                if not emitted and relay.active:
                    ring(1)
                    emitted = True
                time.sleep(0.02)
    finally:
        stop.set()
        thread.join(20)
    assert not OutboxMessage.objects.exists()
