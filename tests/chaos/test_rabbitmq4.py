"""RabbitMQ 4: the faults on it, the move to it from 3.10, and a quorum queue that has lost its majority."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.audit import audit, committed_by_writers, still_open
from tests.chaos.faults import FAULTS, OF_CLASSIC_QUEUES
from tests.chaos.load.topics import TOPIC_OF
from tests.chaos.repair import repair
from tests.chaos.system import System
from tests.chaos.system import system as new_system
from tests.chaos.test_faults import QUICK, disturb, schedule, settle
from tests.support.servers.place import Place, rabbitmq4
from tests.support.servers.process import ServerMissingError
from tests.support.servers.rabbitmq import Node, running_node

pytestmark = [pytest.mark.postgres, pytest.mark.rabbitmq, pytest.mark.slow, pytest.mark.timeout(3600)]

#: The subscriber whose queue loses its majority.
CUT_OFF = "load.batched"
OTHERS = tuple(name for name in TOPIC_OF if name != CUT_OFF)
#: Messages that wait at a broker that is left behind.
LEFT_BEHIND = 50


@pytest.fixture
def place() -> Place:
    """Where RabbitMQ 4 is; skips where the environment names none."""
    try:
        return rabbitmq4()
    except ServerMissingError as missing:
        pytest.skip(f"needs RabbitMQ 4: {missing}")


@contextmanager
def servers(*, rabbitmq: Place | None = None) -> Iterator[System]:
    with (
        tempfile.TemporaryDirectory(prefix="airy_chaos_") as folder,
        new_system(Path(folder), rabbitmq=rabbitmq) as one,
    ):
        one.in_a_hurry = True
        yield one


def start(system: System) -> None:
    """A relay and workers, and every subscriber announced."""
    system.keep("relay", "manage.py", "relay")
    system.worker("first")
    system.worker("second")
    announced = "SELECT count(*) FROM events_subscription WHERE name = ANY(%s)"
    system.until(lambda: system.cluster.value(announced, list(TOPIC_OF)) == len(TOPIC_OF), what="announced")


def stop(system: System) -> None:
    system.release("relay", "first", "second")


def write(system: System) -> None:
    system.keep("writer_1", "-m", "tests.chaos.load.writer", "1", "20", str(system.folder))


def done_by(system: System, names: Iterable[str]) -> int:
    """Deliveries of these subscribers that have their outcome."""
    final = "SELECT count(*) FROM events_delivery WHERE subscriber = ANY(%s) AND state <> 'retrying'"
    return system.cluster.value(final, list(names))


def waiting_at(node: Node) -> int:
    """Messages that are in queues, and not at a worker."""
    return sum(map(int, node.control("list_queues", "--no-table-headers", "messages_ready").split()))


def all_is_done(system: System) -> bool:
    """Have owed again what is missing by now, then ask."""
    repair(system)
    return not still_open(system)


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
@pytest.mark.parametrize(
    ("faults", "rate", "events"),
    [pytest.param(len(QUICK), 20, 300, id="small"), pytest.param(56, 120, 30_000, id="full")],
)
def test_no_fault_on_rabbitmq_4_loses_or_doubles_an_effect(
    place: Place, queue_type: str, faults: int, rate: float, events: int
) -> None:
    with servers(rabbitmq=place) as system:
        system.in_a_hurry = events < 1_000
        system.environment["MQ_QUEUE_TYPE"] = queue_type
        kinds = schedule(faults, QUICK if faults == len(QUICK) else sorted(FAULTS))
        kinds = [kind for kind in kinds if queue_type == "classic" or kind not in OF_CLASSIC_QUEUES]
        report = disturb(system, kinds, rate=rate, events=events)
        findings = audit(system, committed=committed_by_writers(system))
        print(report.show(findings, title=f"RabbitMQ 4, {queue_type} queues: {len(kinds)} faults"))  # noqa: T201
        assert findings.wrong == []
        assert findings.events >= events


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_a_move_to_a_fresh_rabbitmq_4_owes_again_what_the_old_one_held(place: Place, queue_type: str) -> None:
    with servers() as system:
        start(system)
        write(system)
        system.until_it_moves_on()
        system.release("first", "second")
        system.until(lambda: waiting_at(system.node) >= LEFT_BEHIND, what="messages wait at the old broker")
        system.release("relay")
        left = waiting_at(system.node)
        system.node.kill()
        system.node.wipe()
        with running_node(system.folder / "new", place=place) as system.node:
            system.environment["MQ_QUEUE_TYPE"] = queue_type
            start(system)
            system.until_it_moves_on()
            system.release("writer_1")
            system.until(lambda: all_is_done(system), what="all is owed again and done", within=300)
            stop(system)
            findings = audit(system, committed=committed_by_writers(system))
    print(f"{findings.events} events, {left} messages left behind, now on {queue_type} queues")  # noqa: T201
    assert findings.wrong == []


def test_a_queue_without_its_majority_neither_stops_nor_doubles_another(place: Place) -> None:
    with servers(rabbitmq=place) as system:
        system.environment["MQ_QUEUE_TYPE"] = "quorum"
        first = system.node
        system.run("declare", "manage.py", "topology", "declare")
        with (
            running_node(system.folder / "second", place=place, beside=first) as second,
            running_node(system.folder / "third", place=place, beside=first) as third,
        ):
            for node in (second, third):
                node.join(first)
            # A queue that was there before the others joined has one member, a new one has three.
            first.control("delete_queue", f"airy.{CUT_OFF}")
            system.run("declare_again", "manage.py", "topology", "declare")
            start(system)
            write(system)
            system.until_it_moves_on()

            second.kill()
            third.kill()
            cut_off = done_by(system, [CUT_OFF])
            others, arrivals = done_by(system, OTHERS), system.counted("arrivals")
            system.until(lambda: done_by(system, OTHERS) > others + 500, what="the others go on", within=300)
            stalled = done_by(system, [CUT_OFF]) - cut_off
            handed_out = system.counted("arrivals") - arrivals
            others = done_by(system, OTHERS) - others

            second.start()
            third.start()
            system.until_it_moves_on()
            system.release("writer_1")
            settle(system)
            stop(system)
            findings = audit(system, committed=committed_by_writers(system))
    print(f"without a majority: {stalled} of {CUT_OFF}; the others did {others}, {handed_out} handed out")  # noqa: T201
    assert findings.wrong == []
    assert stalled < others / 5, "the queue kept its majority"
    assert handed_out < 1.5 * others, "what one queue did not take was published to the others again"
