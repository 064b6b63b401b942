"""Faults under load: whatever is killed, stopped, cut or wiped, no effect is lost and none happens twice."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import pytest

from tests.chaos.audit import audit, committed_by_writers, still_open
from tests.chaos.faults import FAULTS, LEFT_TO_THE_FULL_SIZE, OF_CLASSIC_QUEUES
from tests.chaos.load.topics import TOPIC_OF
from tests.chaos.report import Figures, Report
from tests.chaos.system import System

pytestmark = [pytest.mark.postgres, pytest.mark.rabbitmq]

SEED = 20_261_125


#: The kinds of a run that nobody waits long for.
QUICK = sorted(FAULTS.keys() - LEFT_TO_THE_FULL_SIZE)


def schedule(count: int, kinds: Sequence[str]) -> list[str]:
    """So many faults: every kind once before any comes again, each time in another order."""
    dice = random.Random(SEED)
    rounds = -(-count // len(kinds))
    return [kind for _ in range(rounds) for kind in dice.sample(kinds, len(kinds))][:count]


def disturb(system: System, kinds: Sequence[str], *, rate: float, events: int) -> Report:
    """Let writers write and workers work while fault follows fault, until so many events are written."""
    report = Report()
    system.keep("relay", "manage.py", "relay")
    system.worker("first")
    system.worker("second")
    announced = "SELECT count(*) FROM events_subscription WHERE name = ANY(%s)"
    system.until(
        lambda: system.cluster.value(announced, list(TOPIC_OF)) == len(TOPIC_OF), what="subscribers are announced"
    )
    writers = [f"writer_{number}" for number in (1, 2)]
    for number, name in enumerate(writers, 1):
        system.keep(name, "-m", "tests.chaos.load.writer", str(number), str(rate / 2), str(system.folder))
    system.until_it_moves_on()
    for kind in kinds:
        before, started = Figures.of(system), time.monotonic()
        report.repaired[kind] += FAULTS[kind](system) or 0
        system.until_it_moves_on()
        seconds = time.monotonic() - started
        report.enter(kind, before, Figures.of(system), seconds)
        print(f"{seconds:6.1f} s  {kind}", flush=True)  # noqa: T201
    system.until(
        lambda: system.cluster.value("SELECT count(*) FROM events_storedevent") >= events,
        what=f"{events} events are written",
        within=1800,
    )
    system.release(*writers)
    settle(system)
    system.release("relay", "first", "second")
    return report


def settle(system: System) -> None:
    """Wait until every delivery has its outcome."""
    system.until(lambda: still_open(system) == 0, what="every delivery has its outcome", within=300)


@pytest.mark.parametrize(
    ("queue_type", "faults", "rate", "events"),
    [
        pytest.param("classic", len(QUICK) // 2, 20, 160, marks=pytest.mark.timeout(900)),  # others each time
        pytest.param("classic", len(QUICK), 20, 300, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
        pytest.param("quorum", len(QUICK), 20, 300, marks=[pytest.mark.slow, pytest.mark.timeout(1200)]),
        pytest.param("classic", 56, 120, 30_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_no_fault_loses_or_doubles_an_effect(
    system: System, queue_type: str, faults: int, rate: float, events: int
) -> None:
    kinds = schedule(faults, QUICK if faults <= len(QUICK) else sorted(FAULTS))
    kinds = [kind for kind in kinds if queue_type == "classic" or kind not in OF_CLASSIC_QUEUES]
    system.environment["MQ_QUEUE_TYPE"] = queue_type
    system.in_a_hurry = events < 1_000
    started = time.monotonic()
    report = disturb(system, kinds, rate=rate, events=events)
    findings = audit(system, committed=committed_by_writers(system))
    seconds = time.monotonic() - started
    title = f"chaos, {queue_type}: {len(kinds)} faults, seed {SEED}, {seconds:.0f} s, {system.restarts} restarts"
    print(report.show(findings, title=title), f"most attempts: {findings.most_attempts}", sep="\n")  # noqa: T201
    assert findings.wrong == []
    assert findings.events >= events
