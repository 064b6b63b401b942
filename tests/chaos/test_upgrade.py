"""Upgrade: the previous release and this code side by side under load, forwards and back."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from events.relay.earlier import RELAY_LOCK
from tests.chaos.audit import audit, committed_by_writers
from tests.chaos.load.topics import TOPIC_OF
from tests.chaos.previous import code_of
from tests.chaos.system import System
from tests.chaos.system import system as new_system
from tests.chaos.test_faults import settle
from tests.support.seat import SEATED

pytestmark = [pytest.mark.postgres, pytest.mark.rabbitmq, pytest.mark.slow, pytest.mark.timeout(1800)]

#: The commit of the previous release; another one by this environment variable.
PREVIOUS = os.environ.get("AIRY_UPGRADE_FROM", "348f219cc7338ae3c4d1a4042ebacfb846846512")
#: The newest migration of `events` in the previous release.
PREVIOUS_MIGRATION = "0004"


@pytest.fixture
def previous() -> Iterator[Path]:
    """The code of the previous release in a folder; skips where the repository does not have it."""
    with code_of(PREVIOUS) as folder:
        yield folder


def worker(system: System, name: str, code: Path | None) -> None:
    """Keep a worker running as an operator starts it."""
    queues = [f"airy.{subscriber}" for subscriber in TOPIC_OF]
    sizes = ("--processes", "1", "--threads", "4")
    system.keep(name, "manage.py", "rundramatiq", *sizes, "--queues", *queues, code=code)


def writer(system: System, name: str, number: int, code: Path | None) -> None:
    """Keep a writer of 60 events a second running."""
    system.keep(name, "-m", "tests.chaos.load.writer", str(number), "60", str(system.folder), code=code)


def relays_in_charge(system: System) -> int:
    """The relays that take themselves for the active one: of the previous release the one that has the lock alone, of
    this one the holder of the last term. The previous release knows no terms."""
    alone = system.cluster.value(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND (classid, objid) = (%s, %s)"
        " AND mode = 'ExclusiveLock'",
        *RELAY_LOCK,
    )
    return alone + len(system.cluster.ask(SEATED))


def test_an_upgrade_under_load_and_its_way_back_lose_and_double_nothing(previous: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="airy_chaos_") as folder, new_system(Path(folder), code=previous) as system:
        system.keep("old_relay", "manage.py", "relay", code=previous)
        worker(system, "old_worker", previous)
        announced = "SELECT count(*) FROM events_subscription WHERE name = ANY(%s)"
        system.until(lambda: system.cluster.value(announced, list(TOPIC_OF)) == len(TOPIC_OF), what="announced")
        writer(system, "writer_1", 1, previous)
        system.until_it_moves_on()

        system.run("migrate", "manage.py", "migrate", "--verbosity", "0")
        system.until_it_moves_on()  # the previous release on this code's tables
        worker(system, "new_worker", None)
        system.keep("new_relay", "manage.py", "relay")
        writer(system, "writer_2", 2, None)
        for _ in range(3):
            system.until_it_moves_on()
            assert relays_in_charge(system) <= 1
        system.release("old_relay", "old_worker")
        for _ in range(3):
            system.until_it_moves_on()
            assert relays_in_charge(system) <= 1

        system.keep("old_relay", "manage.py", "relay", code=previous)
        worker(system, "old_worker", previous)
        system.until_it_moves_on()
        system.release("new_relay", "new_worker", "writer_2")
        for _ in range(2):
            system.until_it_moves_on()
            assert relays_in_charge(system) <= 1
        system.run("migrate_back", "manage.py", "migrate", "events", PREVIOUS_MIGRATION, "--verbosity", "0")
        system.until_it_moves_on()

        system.release("writer_1")
        settle(system)
        system.release("old_relay", "old_worker")
        findings = audit(system, committed=committed_by_writers(system))
        print(f"{findings.events} events, {findings.deliveries} deliveries")  # noqa: T201
        assert findings.wrong == []
